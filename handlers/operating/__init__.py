"""What operators do to read models, behind the command line, the admin API and the sweeper."""
