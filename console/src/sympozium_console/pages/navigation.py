"""The side navigation: the pages of every console, in this order."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NavigationItem:
    """A page of the navigation."""

    title: str
    path: str
    icon: str
    """Id of a symbol in ``static/icons.svg``."""
    key: str
    """Key that leads to the page, after ``g``."""

    def has(self, path: str) -> bool:
        """Return True if a page belongs to this item."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


NAVIGATION = (
    NavigationItem("Overview", "/", "overview", "o"),
    NavigationItem("Instances", "/instances", "instances", "i"),
    NavigationItem("Runs", "/runs", "runs", "r"),
    NavigationItem("Usage", "/usage", "usage", "u"),
    NavigationItem("Skills", "/skills", "skills", "s"),
    NavigationItem("Gateway", "/config", "gateway", "c"),
    NavigationItem("About", "/about", "about", "a"),
)
