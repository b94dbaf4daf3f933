"""German of the pages for administrators: keys, people, what is kept."""

ADMINISTRATION = {
    "A machine or gateway: sends readings": "Maschine oder Gateway: sendet Messungen",
    "A program: asks for scores": "Programm: fragt nach Bewertungen",
    "Administration": "Verwaltung",
    "Administrator": "Administrator",
    "An assistant: reads, acknowledges, gives verdicts": "Assistent: liest, nimmt Fälle an, gibt Befunde",
    "Bound to": "Gebunden an",
    "Bound to, one in a line; * stands for any characters, empty for all": (
        "Gebunden an, eines je Zeile; * steht für beliebige Zeichen, leer für alle"
    ),
    "Back to the page": "Zurück zur Seite",
    "By": "Mit",
    "Days until it expires; empty: never": "Tage, bis er abläuft; leer: nie",
    "Ends": "Endet",
    "Engineer": "Ingenieur",
    "Expires": "Läuft ab",
    "In the store are, raw, those after {moment}, and what is spared.": (
        "Im Speicher sind, roh, die nach {moment} und was verschont ist."
    ),
    "It is shown this once: only a digest of it is kept. Copy it now, and give it to {name} over a safe way.": (
        "Er wird nur dieses eine Mal gezeigt: Aufbewahrt wird nur eine Prüfsumme. Kopieren Sie ihn jetzt, und geben "
        "Sie ihn {name} auf sicherem Weg."
    ),
    "Keys": "Schlüssel",
    "Keys and people": "Schlüssel und Personen",
    "Last used": "Zuletzt benutzt",
    "Last used: by this service, since it was started. An expired or revoked key counts no more.": (
        "Zuletzt benutzt: bei diesem Dienst, seit er gestartet wurde. Ein abgelaufener oder gesperrter Schlüssel gilt "
        "nicht mehr."
    ),
    "Machine types": "Maschinentypen",
    "Machines": "Maschinen",
    "Machines and programs": "Maschinen und Programme",
    "Made": "Gemacht",
    "Make a key": "Einen Schlüssel machen",
    "Make the key": "Den Schlüssel machen",
    "Nobody needs a key here: the service was started with --open, for this machine alone.": (
        "Niemand braucht hier einen Schlüssel: Der Dienst wurde mit --open gestartet, nur für diesen Rechner."
    ),
    "Nobody who signs in there is bound to owners.": "Wer sich dort anmeldet, ist an keine Besitzer gebunden.",
    "Not sent": "Nicht gesendet",
    "Owners": "Besitzer",
    "People": "Personen",
    "People and roles": "Personen und Rollen",
    "People sign in at {issuer}, where this service is {client}.": (
        "Personen melden sich bei {issuer} an, wo dieser Dienst {client} heißt."
    ),
    "People sign in with a key alone: no provider of OpenID Connect is set.": (
        "Personen melden sich nur mit einem Schlüssel an: Kein Anbieter von OpenID Connect ist eingestellt."
    ),
    "Planner": "Planer",
    "Revoke": "Sperren",
    "Revoke {name}": "{name} sperren",
    "Revoked and expired: {n}": "Gesperrt und abgelaufen: {n}",
    "Send it": "Senden",
    "Sign in again, in a new tab": "Neu anmelden, in einem neuen Tab",
    "Signed in now": "Jetzt angemeldet",
    "Technician": "Techniker",
    "The file must be chosen anew, on its page.": "Die Datei muss neu gewählt werden, auf ihrer Seite.",
    "The key of {name}": "Der Schlüssel von {name}",
    "Their name is the claim {claim}.": "Ihr Name ist die Angabe {claim}.",
    "Then come back to this tab, and send it.": "Kommen Sie dann zu diesem Tab zurück, und senden Sie es.",
    "There is no key that counts.": "Es gibt keinen Schlüssel, der gilt.",
    "They see the machines whose tag owner is a value of the claim {claim}; * alone is all.": (
        "Sie sehen die Maschinen, deren Merkmal owner ein Wert der Angabe {claim} ist; * allein sind alle."
    ),
    "They are asked for there again, without a word, after {n} minutes: who has lost their role is let in no more.": (
        "Nach {n} Minuten wird dort ohne Rückfrage neu nach ihnen gefragt: Wer die Rolle verloren hat, wird nicht mehr "
        "eingelassen."
    ),
    "This form is of an earlier session. Nothing was changed. Look at it, and send it now.": (
        "Dieses Formular ist aus einer früheren Sitzung. Nichts wurde geändert. Sehen Sie es an, und senden Sie es."
    ),
    "Viewer": "Betrachter",
    "What they may is read from the claim {claim}:": "Was sie dürfen, steht in der Angabe {claim}:",
    "Who came with a key may come back with it: revoke it to keep them out. Who came from the provider comes back "
    "while they have a role there: take it away there first.": (
        "Wer mit einem Schlüssel kam, kann mit ihm wiederkommen: Sperren Sie ihn. Wer vom Anbieter kam, kommt wieder, "
        "solange er dort eine Rolle hat: Nehmen Sie sie zuerst dort weg."
    ),
    "Whoever uses it is refused within a second, and signed out. That cannot be undone.": (
        "Wer ihn benutzt, wird binnen einer Sekunde abgewiesen und abgemeldet. Das lässt sich nicht zurücknehmen."
    ),
    "Whose it is, as the audit will name it": "Wem er gehört, wie das Protokoll ihn nennt",
    "With FORETWIN_OIDC_ISSUER and its further settings they sign in where they sign in anyway, with the roles of "
    "their groups there.": (
        "Mit FORETWIN_OIDC_ISSUER und den weiteren Einstellungen melden sie sich an, wo sie sich ohnehin anmelden, mit "
        "den Rollen ihrer Gruppen dort."
    ),
    "With several of these values somebody may what any of the roles may; with none nobody is let in.": (
        "Mit mehreren dieser Werte darf jemand, was eine der Rollen darf; ohne einen wird niemand eingelassen."
    ),
    "Your session had ended before this was sent. Nothing was changed, and what you wrote is below.": (
        "Ihre Sitzung war zu Ende, bevor dies gesendet wurde. Nichts wurde geändert, und was Sie schrieben, steht "
        "unten."
    ),
    "a key": "Schlüssel",
    "choose": "wählen",
    "expired": "abgelaufen",
    "machine": "Maschine",
    "nothing": "nichts",
    "revoked by {who}": "gesperrt von {who}",
    "tag": "Merkmal",
    "the provider": "Anbieter",
    "type": "Typ",
    "you": "Sie",
    "your own": "Ihr eigener",
    "As a court or an insurer may ask for. What is held never ages out, and the machine cannot be erased.": (
        "Wie ein Gericht oder eine Versicherung es verlangen kann. Nichts altert, und löschen lässt sie sich nicht."
    ),
    "Hold everything of it": "Alles davon festhalten",
    "Lift the hold": "Freigeben",
    "Lift the hold of {name}": "{name} freigeben",
    "Machines of which everything is kept": "Maschinen, von denen alles aufgehoben wird",
    "No machine is held: everything ages as the contracts say.": (
        "Keine Maschine wird festgehalten: Alles altert, wie die Verträge es sagen."
    ),
    "Nothing has been stored yet.": "Noch ist nichts gespeichert.",
    "Nothing was old enough for the archive yet.": "Für das Archiv war noch nichts alt genug.",
    "Readings stored since {month}: {n}.": "Gespeicherte Messungen seit {month}: {n}.",
    "Retention": "Aufbewahrung",
    "The archive holds:": "Im Archiv sind:",
    "These are the newest holds; there are others.": "Das sind die neuesten; es gibt weitere.",
    "What is kept, for how long, and what is held": "Was aufgehoben wird, wie lange, und was festgehalten wird",
    "What is older than the terms below is then archived and dropped from the store.": (
        "Was älter ist, als die Fristen unten sagen, kommt dann ins Archiv und wird aus dem Speicher entfernt."
    ),
    "What is there": "Was da ist",
    "What the contract says": "Was der Vertrag sagt",
    "What was archived last": "Was zuletzt archiviert wurde",
    "being dropped from the store": "wird gerade aus dem Speicher entfernt",
    "dropped from the store, or spared": "aus dem Speicher entfernt oder verschont",
    "events and deliveries": "Ereignisse und Zustellungen",
    "files: {n}": "Dateien: {n}",
    "for ever": "für immer",
    "hours of readings": "Stunden von Messungen",
    "readings, raw": "Messungen, roh",
    "scores": "Bewertungen",
    "scores of models on trial": "Bewertungen von Modellen in Erprobung",
    "snapshots of waveforms": "Aufnahmen von Schwingungen",
    "the audit": "das Protokoll",
    "then how many came": "danach, wie viele kamen",
    "then mean, least and largest of each hour": "danach Mittel, Kleinstes und Größtes jeder Stunde",
    "those that changed": "die sich änderten",
    "what is in quarantine": "was in Quarantäne ist",
    "{n} days": "{n} Tage",
    "(being counted)": "(wird gezählt)",
    "Another tag": "Anderes Merkmal",
    "Line": "Linie",
    "failures foreseen": "Ausfälle vorhergesehen",
    "missed, within a year": "verpasst, in einem Jahr",
    "As the monitor saw it": "Wie die Überwachung es sah",
    "Beside version {served}, on {n} scores of {m} machines:": (
        "Neben Version {served}, an {n} Bewertungen von {m} Maschinen:"
    ),
    "Contract": "Vertrag",
    "Ended before it": "Endete davor",
    "History of the store": "Geschichte des Speichers",
    "How far it is off near the end": "Wie weit es gegen Ende danebenliegt",
    "How often": "Wie oft",
    "It answers for {n} machines.": "Sie antwortet für {n} Maschinen.",
    "Libraries": "Bibliotheken",
    "Of {n} lives that have ended since, version {served} was off by {error}, version {beside} by {other} {unit}.": (
        "Bei {n} Leben, die seither endeten, irrte Version {served} um {error}, Version {beside} um {other} {unit}."
    ),
    "Root of the mean square, in the unit of the machine's clock, of machines that it had never seen.": (
        "Wurzel des mittleren Quadrats, in der Einheit der Uhr der Maschine, an Maschinen, die es nie gesehen hatte."
    ),
    "Said more than was left": "Sagte mehr, als übrig war",
    "The monitor has not compared the two yet.": "Die Überwachung hat die beiden noch nicht verglichen.",
    "What it said was left": "Was es als Rest angab",
    "What it says is kept beside, and counts for nothing.": "Was sie sagt, wird daneben aufgehoben und zählt nicht.",
    "What was truly left": "Was wirklich übrig war",
    "Within the interval": "Im Intervall",
    "diagnoses in {share}": "Diagnosen bei {share}",
    "remaining lives differ by {n} {unit} on average": "Restlebensdauern weichen im Mittel um {n} {unit} ab",
}
