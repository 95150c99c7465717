"""What cannot be a token is refused before anything looks it up."""

import pytest
from rest_framework.exceptions import AuthenticationFailed

from bank.authentication import BearerTokenAuthentication


@pytest.mark.parametrize("token", [b"", b"\xff\xfe", "ä".encode(), b"a\x00b", b"a-b", b"' OR 1=1"])
def test_bytes_that_no_token_is_made_of(token):
    # There is no database here: a look-up would be another error.
    with pytest.raises(AuthenticationFailed):
        BearerTokenAuthentication().authenticate_credentials(token)
