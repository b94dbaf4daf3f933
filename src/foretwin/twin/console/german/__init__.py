"""The German catalogue: what the pages say in English, and in German."""

from foretwin.twin.console.german.case_words import CASEWORK
from foretwin.twin.console.german.machine_words import MACHINES
from foretwin.twin.console.german.plant_words import PLANT

GERMAN = {**MACHINES, **CASEWORK, **PLANT}
