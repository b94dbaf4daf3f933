"""A visitor of the console's pages: a browser's headers and cookies, and forms that are sent as they came."""

import html
import re
from urllib.parse import urlencode

import httpx

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Visitor:
    """One browser; nobody else's cookies."""

    def __init__(self, base_url: str, language: str = "en") -> None:
        headers = {**BROWSER, "accept-language": language}
        self.client = httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=30)

    def see(self, path: str, status: int = 200) -> str:
        """The HTML of a page."""
        answer = self.client.get(path)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[-600:]}"
        return answer.text

    def text(self, path: str, status: int = 200) -> str:
        """What a page says, without its marks."""
        return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", self.see(path, status)).split()))

    def send(self, page: str, action: str, **values: str) -> httpx.Response:
        """Send the form of a page that has this action."""
        seen = self.see(page)
        assert f'action="{html.escape(action)}"' in seen, f"{page} has no form {action}"
        token = re.search(r'name="token" value="(\w+)"', seen).group(1)
        return self.post(action, token=token, **values)

    def post(self, action: str, **values: str) -> httpx.Response:
        return self.client.post(action, content=urlencode(values), headers=FORM)

    def sign_in(self, key: str) -> httpx.Response:
        return self.send("/sign-in", "/sign-in", key=key)
