"""The side navigation: the pages of every console, in this order."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NavigationItem:
    """A page of the navigation."""

    title: str
    path: str
    icon: str
    """Id of a symbol in ``static/icons.svg``."""

    def has(self, path: str) -> bool:
        """Return True if a page belongs to this item."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


NAVIGATION = (
    NavigationItem("Overview", "/", "overview"),
    NavigationItem("Instances", "/instances", "instances"),
    NavigationItem("Runs", "/runs", "runs"),
    NavigationItem("Usage", "/usage", "usage"),
    NavigationItem("Skills", "/skills", "skills"),
    NavigationItem("Gateway", "/config", "gateway"),
    NavigationItem("About", "/about", "about"),
)
