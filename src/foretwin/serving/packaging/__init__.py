"""What leaves the project to be served: one Bento of all champions, its pinned libraries, its bill of materials."""

from foretwin.serving.packaging.bento import Built, build, ensure, package
from foretwin.serving.packaging.running import serve

__all__ = ["Built", "build", "ensure", "package", "serve"]
