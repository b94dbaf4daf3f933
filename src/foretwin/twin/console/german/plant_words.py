"""German for the pages about whole plants: models, data quality, usage."""

PLANT: dict[str, str] = {}
