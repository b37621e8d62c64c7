"""The scheduled task of the nightly run: Task Scheduler, systemd or cron.

The room starts the scheduler's own programs and writes its files; it uses `errors` alone, no database and no network.
Start reading at `job.py` (what is started, and when); each scheduler's module writes it down, and makes, finds and
removes it.
"""
