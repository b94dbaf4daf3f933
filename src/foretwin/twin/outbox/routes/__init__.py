"""Service requests to people and systems by `routes.yaml`: work orders, e-mail, chat; quiet hours and owners."""
