"""What leaves the project to be served: one Bento of all champions, its pinned libraries, its bill of materials."""

from foretwin.packaging.bento import Built, build, ensure, package
from foretwin.packaging.running import serve

__all__ = ["Built", "build", "ensure", "package", "serve"]
