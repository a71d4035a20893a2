"""`make bench`: the gateway side by side with other proxies; README.md beside this file says how and why."""
