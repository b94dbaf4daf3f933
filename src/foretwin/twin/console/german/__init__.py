"""The German catalogue: what the pages say in English, and in German."""

from foretwin.twin.console.german.administration_words import ADMINISTRATION
from foretwin.twin.console.german.case_words import CASEWORK
from foretwin.twin.console.german.machine_words import MACHINES
from foretwin.twin.console.german.plant_words import PLANT
from foretwin.twin.console.german.type_words import TYPES

GERMAN = {**MACHINES, **CASEWORK, **PLANT, **TYPES, **ADMINISTRATION}
