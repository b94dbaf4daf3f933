BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE assets (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	twin VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	serial_number VARCHAR, 
	location VARCHAR, 
	tags JSON NOT NULL, 
	registered_at DATETIME NOT NULL, 
	run INTEGER DEFAULT '1' NOT NULL, 
	time DOUBLE, 
	received_at DATETIME, 
	batch INTEGER DEFAULT '0' NOT NULL, 
	scored_batch INTEGER DEFAULT '0' NOT NULL, 
	readings INTEGER DEFAULT '0' NOT NULL, 
	late INTEGER DEFAULT '0' NOT NULL, 
	duplicates INTEGER DEFAULT '0' NOT NULL, 
	gaps INTEGER DEFAULT '0' NOT NULL, 
	quarantined INTEGER DEFAULT '0' NOT NULL, 
	UNIQUE (name)
);
INSERT INTO "assets" VALUES(1,'pump','P-1',NULL,NULL,'{}','2026-11-28 21:00:35.644935',1,8.0,'2026-11-28 21:00:35.644935',1,0,8,0,0,0,0);
INSERT INTO "assets" VALUES(2,'pump','P-2',NULL,NULL,'{}','2026-11-28 21:00:35.644935',1,6.0,'2026-11-28 21:00:35.644935',1,0,6,0,0,0,0);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	actor VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	asset INTEGER, 
	"case" INTEGER, 
	detail JSON NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE batches (
	id INTEGER NOT NULL, 
	received_at DATETIME NOT NULL, 
	via VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "batches" VALUES(1,'2026-11-28 21:00:35.644935','file');
CREATE TABLE cases (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	twin VARCHAR NOT NULL, 
	asset INTEGER, 
	run INTEGER, 
	fault VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	severity VARCHAR NOT NULL, 
	opened_at DATETIME NOT NULL, 
	opened_time DOUBLE, 
	updated_at DATETIME NOT NULL, 
	acknowledged_at DATETIME, 
	closed_at DATETIME, 
	closed_because VARCHAR, 
	merged_into INTEGER, 
	time DOUBLE, 
	scored_at DATETIME, 
	model INTEGER, 
	rul DOUBLE, 
	rul_low DOUBLE, 
	rul_high DOUBLE, 
	probability DOUBLE, 
	evidence JSON NOT NULL, 
	FOREIGN KEY(asset) REFERENCES assets (id), 
	FOREIGN KEY(merged_into) REFERENCES cases (id), 
	FOREIGN KEY(model) REFERENCES models (id)
);
CREATE TABLE deliveries (
	event VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	due_at DATETIME NOT NULL, 
	error VARCHAR, 
	PRIMARY KEY (event, target), 
	FOREIGN KEY(event) REFERENCES events (id)
);
CREATE TABLE events (
	id VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	type VARCHAR NOT NULL, 
	twin VARCHAR NOT NULL, 
	asset INTEGER, 
	subject VARCHAR NOT NULL, 
	data JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(asset) REFERENCES assets (id)
);
CREATE TABLE exports (
	id INTEGER NOT NULL, 
	twin VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	digest VARCHAR NOT NULL, 
	assets JSON NOT NULL, 
	rows INTEGER NOT NULL, 
	labels INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE layouts (
	id INTEGER NOT NULL, 
	twin VARCHAR NOT NULL, 
	channels VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (twin, channels)
);
INSERT INTO "layouts" VALUES(1,'pump','speed,c1,c2');
CREATE TABLE maintenance (
	id INTEGER NOT NULL, 
	asset INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	time DOUBLE NOT NULL, 
	at DATETIME NOT NULL, 
	kind VARCHAR NOT NULL, 
	part VARCHAR, 
	serial_number VARCHAR, 
	note VARCHAR, 
	"case" INTEGER, 
	actor VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(asset) REFERENCES assets (id), 
	FOREIGN KEY("case") REFERENCES cases (id)
);
CREATE TABLE models (
	id INTEGER NOT NULL, 
	twin VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	run VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	contract VARCHAR NOT NULL, 
	level DOUBLE, 
	first_used_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (twin, version, digest)
);
CREATE TABLE parts (
	id INTEGER NOT NULL, 
	asset INTEGER NOT NULL, 
	part VARCHAR NOT NULL, 
	serial_number VARCHAR, 
	provenance VARCHAR, 
	fitted_at DATETIME NOT NULL, 
	removed_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(asset) REFERENCES assets (id)
);
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	received_at DATETIME NOT NULL, 
	via VARCHAR NOT NULL, 
	twin VARCHAR, 
	asset VARCHAR, 
	field VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	detail VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	released_at DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
CREATE TABLE readings (
	asset INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	time DOUBLE NOT NULL, 
	batch INTEGER NOT NULL, 
	layout INTEGER NOT NULL, 
	channels BLOB NOT NULL, 
	PRIMARY KEY (asset, run, time), 
	FOREIGN KEY(asset) REFERENCES assets (id)
)
 WITHOUT ROWID

;
INSERT INTO "readings" VALUES(1,1,1.0,1,1,X'69F0B03E9155523F0C2FA93E');
INSERT INTO "readings" VALUES(1,1,2.0,1,1,X'DBCDA6BF67C5673F358BE43E');
INSERT INTO "readings" VALUES(1,1,3.0,1,1,X'C47509BF28C4143F3CA9BA3E');
INSERT INTO "readings" VALUES(1,1,4.0,1,1,X'8998963EC3D5E83C62F50B3F');
INSERT INTO "readings" VALUES(1,1,5.0,1,1,X'41883CBFDED126BE58D8F6BE');
INSERT INTO "readings" VALUES(1,1,6.0,1,1,X'FC4D193FA6B3223DE4BC95BE');
INSERT INTO "readings" VALUES(1,1,7.0,1,1,X'272B48BFB4AE83BEC866053C');
INSERT INTO "readings" VALUES(1,1,8.0,1,1,X'D31B8DBEE2A3A53F58DC803F');
INSERT INTO "readings" VALUES(2,1,1.0,1,1,X'B0832DC030CBF1BF75F732BE');
INSERT INTO "readings" VALUES(2,1,2.0,1,1,X'5729D8BE3BC55A3EA4895E3E');
INSERT INTO "readings" VALUES(2,1,3.0,1,1,X'AC8A0740B2568EBF7255C1BE');
INSERT INTO "readings" VALUES(2,1,4.0,1,1,X'C5BC0240548E253F85BE293F');
INSERT INTO "readings" VALUES(2,1,5.0,1,1,X'EC9503BF21F4D2BFE17B2B3E');
INSERT INTO "readings" VALUES(2,1,6.0,1,1,X'C742DF3DDF199DBFF1E72EBF');
CREATE TABLE scores (
	asset INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	time DOUBLE NOT NULL, 
	model INTEGER NOT NULL, 
	scored_at DATETIME NOT NULL, 
	age DOUBLE NOT NULL, 
	rows INTEGER NOT NULL, 
	rul DOUBLE, 
	rul_low DOUBLE, 
	rul_high DOUBLE, 
	faults JSON NOT NULL, 
	diagnosis JSON NOT NULL, 
	warnings JSON NOT NULL, 
	PRIMARY KEY (asset, run, time, model), 
	FOREIGN KEY(asset, run, time) REFERENCES readings (asset, run, time), 
	FOREIGN KEY(model) REFERENCES models (id)
);
CREATE TABLE shadow_scores (
	asset INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	time DOUBLE NOT NULL, 
	model INTEGER NOT NULL, 
	scored_at DATETIME NOT NULL, 
	rul DOUBLE, 
	rul_low DOUBLE, 
	rul_high DOUBLE, 
	diagnosis JSON NOT NULL, 
	PRIMARY KEY (asset, run, time, model), 
	FOREIGN KEY(asset, run, time) REFERENCES readings (asset, run, time), 
	FOREIGN KEY(model) REFERENCES models (id)
);
CREATE TABLE verdicts (
	id INTEGER NOT NULL, 
	"case" INTEGER NOT NULL, 
	asset INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	time DOUBLE NOT NULL, 
	at DATETIME NOT NULL, 
	verdict VARCHAR NOT NULL, 
	fault VARCHAR, 
	note VARCHAR, 
	actor VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(asset) REFERENCES assets (id), 
	FOREIGN KEY("case") REFERENCES cases (id), 
	UNIQUE ("case")
);
CREATE INDEX assets_by_twin ON assets (twin, name);
CREATE INDEX ix_audit_asset ON audit (asset);
CREATE INDEX ix_audit_case ON audit ("case");
CREATE INDEX ix_exports_twin ON exports (twin);
CREATE INDEX ix_quarantine_asset ON quarantine (asset);
CREATE INDEX ix_cases_asset ON cases (asset);
CREATE INDEX ix_cases_twin ON cases (twin);
CREATE UNIQUE INDEX one_case_per_asset_and_fault ON cases (asset, fault) WHERE state <> 'closed' AND asset IS NOT NULL;
CREATE INDEX ix_events_asset ON events (asset);
CREATE INDEX ix_parts_asset ON parts (asset);
CREATE INDEX ix_readings_batch ON readings (batch);
CREATE INDEX deliveries_due ON deliveries (state, due_at);
CREATE INDEX ix_maintenance_asset ON maintenance (asset);
CREATE INDEX scores_by_moment ON scores (asset, scored_at);
CREATE INDEX ix_verdicts_asset ON verdicts (asset);
CREATE INDEX shadow_scores_by_model ON shadow_scores (model, scored_at);
CREATE UNIQUE INDEX one_fleet_case_per_twin_and_fault ON cases (twin, fault) WHERE state <> 'closed' AND asset IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('assets',2);
COMMIT;
