import pytest

from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BundleError


def test_an_identity_that_cannot_be_read_is_refused(tmp_path):
    path = tmp_path / "identity.json"
    for content in ("{", "[]", '{"name": "x"}'):
        path.write_text(content)
        with pytest.raises(BundleError, match=r"identity.json: not a champion's identity"):
            ModelIdentity.read(path)
