"""German for the pages of cases: the board, one case, what is due."""

CASEWORK = {
    "A day ago {n} {unit} were left. After {passed} {unit} of operation it is {m} now:": (
        "Vor einem Tag waren noch {n} {unit} übrig. Nach {passed} {unit} Betrieb sind es jetzt {m}:"
    ),
    "Assign": "Zuweisen",
    "Because": "Weil",
    "Board": "Tafel",
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
    "How cases like this one ended": "Wie Fälle wie dieser endeten",
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
    "Take on case {id}": "Fall {id} übernehmen",
    "This case rests until {time}: {why}": "Dieser Fall ruht bis {time}: {why}",
    "Waiting for part": "Wartet auf Teil",
    "Wake it": "Wecken",
    "What is there to say?": "Was ist zu sagen?",
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
}
