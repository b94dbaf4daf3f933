"""German for the pages of cases: the board, one case, what is due."""

CASEWORK = {
    "Its course until now": "Sein Verlauf bis jetzt",
    "A day ago {n} {unit} were left. After {passed} {unit} of operation it is {m} now:": (
        "Vor einem Tag waren noch {n} {unit} übrig. Nach {passed} {unit} Betrieb sind es jetzt {m}:"
    ),
    "Machines whose remaining life is over by then: as expected, in brackets by its interval's ends.": (
        "Maschinen, deren Restleben bis dahin vorbei ist: wie erwartet, in Klammern nach den Enden seines Intervalls."
    ),
    "Assign": "Zuweisen",
    "Because": "Weil",
    "Board": "Tafel",
    "Calendar": "Kalender",
    "Case {case} moved to: {state}": "Fall {case} ist jetzt: {state}",
    "Case {case} rests no more": "Fall {case} ruht nicht mehr",
    "Case {case} rests until {until}, {why}": "Fall {case} ruht bis {until}, {why}",
    "Case {case} was given to {assignee}": "Fall {case} ging an {assignee}",
    "Comment": "Kommentieren",
    "Comments": "Kommentare",
    "Done": "Erledigt",
    "Each column by the latest safe date, the next one first": (
        "Jede Spalte nach dem spätesten sicheren Termin, der nächste zuerst"
    ),
    "Further cases are in the CSV file and in the calendar: {n} or more.": (
        "Weitere Fälle stehen in der CSV-Datei und im Kalender: {n} oder mehr."
    ),
    "How cases like this one ended": "Wie Fälle wie dieser endeten",
    "In 30 days": "In 30 Tagen",
    "In 90 days": "In 90 Tagen",
    "In your own calendar": "Im eigenen Kalender",
    "Machines": "Maschinen",
    "No part will be needed, as far as anybody can tell.": "Kein Teil wird gebraucht, soweit sich das sagen lässt.",
    "Nothing can be said of: {twins}.": "Nichts sagen lässt sich über: {twins}.",
    "Nothing is due.": "Nichts ist fällig.",
    "Nobody can say on which day: their readings did not come when they were taken, or their clock is no calendar.": (
        "Niemand kann sagen, an welchem Tag: Die Messungen kamen nicht, als sie genommen wurden, oder die Uhr ist kein "
        "Kalender."
    ),
    "Parts needed": "Benötigte Teile",
    "Site": "Standort",
    "Subscribe to this address. It shows what your key may see, and nothing else; it ends with the key.": (
        "Abonnieren Sie diese Adresse. Sie zeigt, was Ihr Schlüssel sehen darf, sonst nichts, und endet mit ihm."
    ),
    "Week {n}, from {day}": "Woche {n}, ab {day}",
    "What is due": "Was fällig ist",
    "Within days": "In Tagen",
    "Without a date": "Ohne Termin",
    "In time": "Rechtzeitig",
    "Let it rest": "Ruhen lassen",
    "Let it rest until": "Ruhen lassen bis",
    "Mine": "Meine",
    "Move": "Verschieben",
    "Next: the part arrives, then the visit is planned.": (
        "Als Nächstes: Das Teil trifft ein, dann wird der Besuch geplant."
    ),
    "Next: the visit on {time}. What was found closes the case.": (
        "Als Nächstes: der Besuch am {time}. Der Befund schließt den Fall."
    ),
    "On case {case}": "Zu Fall {case}",
    "Person": "Person",
    "Plan": "Planen",
    "Planned for": "Geplant für",
    "Resting": "Ruhend",
    "Since yesterday": "Seit gestern",
    "Take it on: case {id}": "Übernehmen: Fall {id}",
    "This case rests until {time}: {why}": "Dieser Fall ruht bis {time}: {why}",
    "Waiting for part": "Wartet auf Teil",
    "Wake it": "Wecken",
    "What is there to say?": "Was ist zu sagen?",
    "are more than {n}; filter the list first": "sind mehr als {n}; filtern Sie die Liste zuerst",
    "at least {n} {unit} left": "noch mindestens {n} {unit}",
    "latest safe date": "spätester sicherer Termin",
    "no site named": "kein Standort genannt",
    "over": "vorbei",
    "planned": "geplant",
    "as expected.": "wie erwartet.",
    "in {n} d": "in {n} T.",
    "in {n} h": "in {n} Std.",
    "later than is safe": "später als sicher ist",
    "no date known": "kein Termin bekannt",
    "nobody": "niemand",
    "nobody yet": "noch niemand",
    "over for {n} d": "seit {n} T. vorbei",
    "over for {n} h": "seit {n} Std. vorbei",
    "over since a moment ago": "eben vorbei",
    "planned for": "geplant für",
    "until {time}: {why}": "bis {time}: {why}",
    "within the hour": "in dieser Stunde",
    "{n} {unit} after the case opened": "{n} {unit} nach Eröffnung des Falls",
    "{n} {unit} less than that operation explains.": "{n} {unit} weniger, als dieser Betrieb erklärt.",
    "{n} {unit} more than that operation leaves.": "{n} {unit} mehr, als dieser Betrieb übrig ließe.",
    "Add the photo": "Foto hinzufügen",
    "Only the picture is kept, without place and time of its file.": (
        "Nur das Bild wird aufbewahrt, ohne Ort und Zeit seiner Datei."
    ),
    "Photo of {actor}, {time}": "Foto von {actor}, {time}",
    "Photos": "Fotos",
    "Picture, at most 16 MB": "Bild, höchstens 16 MB",
    "The machine's page: {address}": "Seite der Maschine: {address}",
    "Case {case} got a photo": "Fall {case} bekam ein Foto",
}
