"""The German of the page on which a machine type is made of a file."""

TYPES = {
    "A case opens below": "Ein Fall wird eröffnet unter",
    "A table of readings, a row for each machine and time, makes a machine type: what its columns mean is guessed, "
    "you correct it, and a model is trained.": (
        "Aus einer Tabelle von Messungen, mit einer Zeile je Maschine und Zeitpunkt, wird ein Maschinentyp: Was ihre "
        "Spalten bedeuten, wird geraten, Sie berichtigen es, und ein Modell wird trainiert."
    ),
    "CSV file, at most 16 MB": "CSV-Datei, höchstens 16 MB",
    "Channel": "Kanal",
    "Column": "Spalte",
    "Discard the draft": "Den Entwurf verwerfen",
    "First values": "Erste Werte",
    "It did not come to an end.": "Es kam nicht zu Ende.",
    "It has a champion: its machines are scored from now on.": (
        "Es gibt einen Champion: Maschinen dieses Typs werden von nun an bewertet."
    ),
    "It is being trained, and compared with simpler models. That takes minutes, of large files hours.": (
        "Es wird trainiert und mit einfacheren Modellen verglichen. Das dauert Minuten, bei großen Dateien Stunden."
    ),
    "Keep what I corrected": "Meine Berichtigungen behalten",
    "Largest": "Höchstens",
    "Least": "Mindestens",
    "Log": "Protokoll",
    "Look again with this": "Damit noch einmal ansehen",
    "Look at it": "Ansehen",
    "Name, of small letters, digits and hyphens": "Name, aus Kleinbuchstaben, Ziffern und Bindestrichen",
    "New machine type": "Neuer Maschinentyp",
    "Part for the repair": "Teil für die Reparatur",
    "Role": "Rolle",
    "Taken for": "Verstanden als",
    "The other columns are guessed anew, and what was corrected below begins again.": (
        "Die anderen Spalten werden neu geraten, und was unten berichtigt wurde, beginnt von vorn."
    ),
    "The file is being looked at.": "Die Datei wird angesehen.",
    "The gate refused the model, so that nothing answers for these machines yet.": (
        "Die Prüfung lehnte das Modell ab, sodass für diese Maschinen noch nichts antwortet."
    ),
    "The guesses": "Was geraten wurde",
    "This is what was understood. Correct it, then train.": (
        "Das wurde verstanden. Berichtigen Sie es, dann trainieren Sie."
    ),
    "Time until it is there": "Zeit, bis es da ist",
    "Title": "Titel",
    "Train it": "Trainieren",
    "Unit": "Einheit",
    "Unit of time": "Einheit der Zeit",
    "Upload a file": "Eine Datei hochladen",
    "Use it": "Verwenden",
    "What to check, the costliest first": "Was zu prüfen ist, das Teuerste zuerst",
    "What was understood": "Was verstanden wurde",
    "a channel": "ein Kanal",
    "a failure: a life ends": "ein Ausfall: ein Leben endet",
    "a label of a fault": "die Bezeichnung eines Fehlers",
    "left out": "ausgelassen",
    "the life that is left": "die Restlebensdauer",
    "the machine": "die Maschine",
    "the run": "der Lauf",
    "the time": "die Zeit",
    "measured": "gemessen",
    "set by somebody": "von jemandem eingestellt",
    "words": "Wörter",
}
