BEGIN TRANSACTION;
CREATE TABLE "adapters" (
	project_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	base_model TEXT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	examples INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	targets JSON DEFAULT '[]' NOT NULL, 
	PRIMARY KEY (project_id, number)
);
INSERT INTO "adapters" VALUES(7,1,'a-base-model','6b65e09d029fc3c497899ab0d9d6a5c22fa0c96bd7680461270398bd6516cacb',10,1.79558198299977803233e+09,'[{"name": "topic", "kind": "classification", "classes": ["fruit", "tool", "animal"], "low": null, "high": null, "step": null, "threshold": 0.5}]');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	project_id INTEGER NOT NULL, 
	action VARCHAR(64) NOT NULL, 
	received_at FLOAT NOT NULL
);
CREATE TABLE projects (
	id INTEGER NOT NULL, 
	connected BOOLEAN NOT NULL, 
	label_config TEXT NOT NULL, 
	options JSON NOT NULL, 
	host TEXT NOT NULL, 
	backend_url TEXT, 
	webhook_ready BOOLEAN NOT NULL, 
	former_sampling TEXT, 
	former_model_version TEXT, 
	adapter INTEGER NOT NULL, 
	queue INTEGER NOT NULL, 
	adapter_floor INTEGER NOT NULL, 
	turn INTEGER NOT NULL, 
	round INTEGER NOT NULL, 
	event_mark BIGINT NOT NULL, 
	task_mark BIGINT NOT NULL, 
	change_mark VARCHAR(40), 
	reread BOOLEAN NOT NULL, 
	split VARCHAR(64), 
	synced_at FLOAT NOT NULL, 
	error TEXT, webhook_secret TEXT, miscount JSON DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "projects" VALUES(7,1,'<View><Text name="text" value="$text"/><Choices name="topic" toName="text"><Choice value="fruit"/><Choice value="tool"/><Choice value="animal"/></Choices></View>','{"base_model": "a-base-model", "manage_queue": false, "min_steps": 2, "epochs": 1, "batch_size": 5}','b.local:9090','http://b.local:9090',1,NULL,NULL,1,0,0,2,1,50,12,'2026-01-01T00:00:12.000000Z',0,'0:0.1',1.79558198288014364239e+09,NULL,NULL,'{}');
CREATE TABLE published_queues (
	project_id INTEGER NOT NULL, 
	queue INTEGER NOT NULL, 
	version TEXT NOT NULL, 
	PRIMARY KEY (project_id, queue)
);
CREATE TABLE queue_items (
	project_id INTEGER NOT NULL, 
	queue INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	task_id BIGINT NOT NULL, 
	audit BOOLEAN NOT NULL, 
	score FLOAT, 
	PRIMARY KEY (project_id, queue, position)
);
CREATE TABLE "rounds" (
	project_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	step VARCHAR(16) NOT NULL, 
	started_at FLOAT NOT NULL, 
	finished_at FLOAT, 
	labels INTEGER NOT NULL, 
	tasks INTEGER NOT NULL, 
	adapter INTEGER NOT NULL, 
	queue INTEGER, 
	strategy TEXT, 
	evaluation JSON, 
	seconds JSON NOT NULL, 
	error TEXT, 
	targets JSON DEFAULT '[]' NOT NULL, tries JSON DEFAULT '{}' NOT NULL, back_to INTEGER, 
	PRIMARY KEY (project_id, number)
);
INSERT INTO "rounds" VALUES(7,1,'12 newly labeled tasks','done','score',1.79558198289897632594e+09,1.79558198308122730253e+09,12,12,1,NULL,NULL,'{"labels": 2, "controls": {"topic": {"labels": 2, "metric": "accuracy", "score": 1.0, "low": 0.34238022750665303, "high": 1.0, "correct": 2, "macro_f1": 1.0}}}','{"train": 0.098, "evaluate": 0.029, "score": 0.027}',NULL,'[{"name": "topic", "kind": "classification", "classes": ["fruit", "tool", "animal"], "low": null, "high": null, "step": null, "threshold": 0.5}]','{}',NULL);
CREATE TABLE "tasks" (
	project_id INTEGER NOT NULL, 
	id BIGINT NOT NULL, 
	text TEXT NOT NULL, 
	digest BIGINT NOT NULL, 
	audit BOOLEAN NOT NULL, 
	skipped BOOLEAN NOT NULL, 
	annotated BOOLEAN NOT NULL, 
	learned_in INTEGER, 
	labels JSON, 
	labeled BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (project_id, id)
);
INSERT INTO "tasks" VALUES(7,1,'melon cherry there please near the',6421933519792024268,0,0,1,1,'{"topic": "fruit"}',1);
INSERT INTO "tasks" VALUES(7,2,'this pliers and saw this new',-3680699552681249813,0,0,1,1,'{"topic": "tool"}',1);
INSERT INTO "tasks" VALUES(7,3,'heron a there horse please new',3440469684814189914,1,0,1,1,'{"topic": "animal"}',1);
INSERT INTO "tasks" VALUES(7,4,'old grape this cherry very the',5713879236738344559,0,0,1,1,'{"topic": "fruit"}',1);
INSERT INTO "tasks" VALUES(7,5,'drill and and the please saw',-5714513771545672999,0,0,1,1,'{"topic": "tool"}',1);
INSERT INTO "tasks" VALUES(7,6,'heron horse please there near near',2350249234972080355,0,0,1,1,'{"topic": "animal"}',1);
INSERT INTO "tasks" VALUES(7,7,'old plum grape old very near',-7074206633561888549,1,0,1,1,'{"topic": "fruit"}',1);
INSERT INTO "tasks" VALUES(7,8,'pliers very drill my this the',8733950062368940564,0,0,1,1,'{"topic": "tool"}',1);
INSERT INTO "tasks" VALUES(7,9,'sheep heron please please near very',2945670186893118487,0,0,1,1,'{"topic": "animal"}',1);
INSERT INTO "tasks" VALUES(7,10,'this was grape pear very there',8896696383746546639,0,0,1,1,'{"topic": "fruit"}',1);
INSERT INTO "tasks" VALUES(7,11,'very this and new pliers wrench',6053706382268158978,0,0,1,1,'{"topic": "tool"}',1);
INSERT INTO "tasks" VALUES(7,12,'horse a a otter the and',-2844540883259288179,0,0,1,1,'{"topic": "animal"}',1);
CREATE TABLE workers (
	executor_id VARCHAR(64) NOT NULL, 
	beat_at FLOAT NOT NULL, 
	label_studio TEXT, 
	PRIMARY KEY (executor_id)
);
CREATE INDEX events_by_project ON events (project_id, id);
CREATE INDEX tasks_by_labeled ON tasks (project_id, labeled);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',50);
COMMIT;
