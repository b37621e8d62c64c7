"""The scheduled task of the nightly run: Task Scheduler, systemd or cron.

`job` says what is to be started and when; each scheduler's module writes it down, and makes, finds and removes it.
"""
