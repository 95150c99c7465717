"""Rebuilds of read models, with readers, writers, runners and killers about."""
