"""Packaging for serving: one Bento of all champions, its pinned libraries, its bill of materials."""
