"""German for the pages about whole plants: models, data quality, usage."""

PLANT = {
    "Beside others": "Neben anderen",
    "Candidate": "Kandidat",
    "Champion": "Champion",
    "Code": "Code",
    "Data": "Daten",
    "Decisions": "Entscheidungen",
    "Digest of the model": "Prüfsumme des Modells",
    "Error near the end": "Fehler nahe dem Ende",
    "Error of the remaining life": "Fehler der Restlebensdauer",
    "Events that nobody took": "Ereignisse, die niemand annahm",
    "Everything was delivered, or is on its way.": "Alles wurde zugestellt oder ist unterwegs.",
    "Gaps": "Lücken",
    "In quarantine": "In Quarantäne",
    "Late": "Verspätet",
    "Faults told apart, {axis}": "Fehler unterschieden, {axis}",
    "Model card": "Modellkarte",
    "Models": "Modelle",
    "No machine type has a contract here.": "Kein Maschinentyp hat hier einen Vertrag.",
    "Nobody answers yet: no candidate has passed the gate.": (
        "Noch antwortet niemand: Kein Kandidat hat die Prüfung bestanden."
    ),
    "Nothing was decided yet.": "Noch wurde nichts entschieden.",
    "On machines that it had never seen, its remaining life was off by {n} {unit} (root of the mean square).": (
        "Bei Maschinen, die sie nie gesehen hatte, lag ihr Restleben um {n} {unit} daneben (quadratisches Mittel)."
    ),
    "Quality of the data": "Güte der Daten",
    "Running services take the former champion within seconds. The gate does not promote again what was taken back.": (
        "Laufende Dienste nehmen den früheren Champion in Sekunden. Die Prüfung befördert nicht noch einmal, was "
        "zurückgenommen wurde."
    ),
    "Send all of them again": "Alle noch einmal senden",
    "Since": "Seit",
    "Take it back": "Zurücknehmen",
    "Take the champion back": "Den Champion zurücknehmen",
    "The best of each column is bold. Measured on {n} machines that none of them had seen.": (
        "Das Beste jeder Spalte ist fett. Gemessen an {n} Maschinen, die keiner von ihnen gesehen hatte."
    ),
    "There is no champion before this one.": "Es gibt keinen Champion vor diesem.",
    "To": "Zu",
    "Twice": "Doppelt",
    "Training run": "Trainingslauf",
    "Version {before} was taken back, version {champion} is the champion again": (
        "Version {before} wurde zurückgenommen, Version {champion} ist wieder der Champion"
    ),
    "Version {n} answers.": "Es antwortet Version {n}.",
    "Version {n} has answered since {time}.": "Seit {time} antwortet Version {n}.",
    "Version {n} is on trial ({mode}) since {time}.": "Version {n} ist seit {time} in Erprobung ({mode}).",
    "Version {version} became the champion": "Version {version} wurde der Champion",
    "Version {version} became the champion by hand": "Version {version} wurde von Hand der Champion",
    "Version {version} was refused": "Version {version} wurde abgelehnt",
    "What the gate said:": "Was die Prüfung sagte:",
    "Where it comes from": "Woher es kommt",
    "Who answers, and why": "Wer antwortet, und warum",
    "attempts: {n}": "Versuche: {n}",
    "most in quarantine first": "meiste in Quarantäne zuerst",
    "most late ones first": "meiste verspätete zuerst",
    "the champion": "der Champion",
    "the champion before": "der Champion davor",
    "version {n}": "Version {n}",
    "From month": "Ab Monat",
    "Further lines are in the CSV file: {n}.": "Weitere Zeilen sind in der CSV-Datei: {n}.",
    "Nothing was used in these months.": "In diesen Monaten wurde nichts genutzt.",
    "Owner": "Besitzer",
    "Readings stored and scores made, by owner and month (UTC)": (
        "Gespeicherte Messungen und Bewertungen, nach Besitzer und Monat (UTC)"
    ),
    "Scores": "Bewertungen",
    "To month": "Bis Monat",
    "Usage": "Nutzung",
    "nobody named": "niemand genannt",
    "so far": "bisher",
    "An owner is the tag owner of a machine at that time. What was counted stays when a machine is erased.": (
        "Besitzer ist das Merkmal owner einer Maschine zu der Zeit. Gezähltes bleibt, wenn eine Maschine gelöscht wird."
    ),
    "An address for it belongs to a key, which an administrator makes for you: what you may see here ends with your "
    "session.": (
        "Eine Adresse dafür gehört zu einem Schlüssel, den Ihnen ein Administrator macht: Was Sie hier sehen dürfen, "
        "endet mit Ihrer Sitzung."
    ),
    "Sign in at {host}": "Anmelden bei {host}",
    "Sign out at the provider too": "Auch beim Anbieter abmelden",
    "You are signed in.": "Sie sind angemeldet.",
    "You are signed out here.": "Sie sind hier abgemeldet.",
    "or": "oder",
}
