"""What both HTTP services share: bounded bodies, problems, media types, who is on this machine, what is observed."""
