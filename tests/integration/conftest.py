"""Integration tests share one committed database."""

from tests.committed_database import committed_database as committed_database
from tests.own_bank import env as env
from tests.own_bank import var_dir as var_dir
