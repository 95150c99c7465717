"""Moving a log from one database to another in a file: export and import."""
