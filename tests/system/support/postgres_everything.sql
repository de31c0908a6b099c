-- One of each kind of thing that a dump must bring back.
CREATE ROLE "Odd ""Owner""" NOLOGIN;
CREATE ROLE reader LOGIN PASSWORD 'reader' CONNECTION LIMIT 7 VALID UNTIL '2035-01-01';
CREATE ROLE team NOLOGIN CREATEDB;
GRANT team TO reader WITH ADMIN OPTION;
GRANT pg_monitor TO team;
ALTER ROLE reader SET search_path TO "$user", 'odd, schema', public;
COMMENT ON ROLE team IS 'it''s a team';

COMMENT ON DATABASE :"name" IS 'a "database" with everything';
ALTER DATABASE :"name" SET search_path TO public, "odd, schema";
ALTER DATABASE :"name" SET work_mem TO '7MB';
ALTER DATABASE :"name" SET app.tenant TO 'x, ''y''';
ALTER ROLE reader IN DATABASE :"name" SET statement_timeout TO '77s';
GRANT CREATE ON DATABASE :"name" TO team WITH GRANT OPTION;
REVOKE TEMPORARY ON DATABASE :"name" FROM PUBLIC;

CREATE EXTENSION hstore;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION citext;
CREATE SCHEMA "odd, schema" AUTHORIZATION "Odd ""Owner""";
CREATE SCHEMA empty;
COMMENT ON SCHEMA empty IS 'nothing in it';
GRANT USAGE ON SCHEMA "odd, schema" TO reader;

CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE span AS RANGE (subtype = date);
CREATE SEQUENCE counter START 1000 INCREMENT 5;
SELECT nextval('counter'), nextval('counter');

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name citext NOT NULL UNIQUE,
    age positive,
    feeling mood DEFAULT 'happy',
    tags text[],
    data jsonb,
    raw bytea,
    pairs pair[],
    kv hstore,
    twice integer GENERATED ALWAYS AS (age * 2) STORED,
    boss bigint REFERENCES users DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "odd constraint" CHECK (name <> '')
);
INSERT INTO users (name, age, feeling, tags, data, raw, pairs, kv, boss)
SELECT 'user ' || i || E'\t\n\\.\r' || chr(9000 + i), i, (ARRAY['sad', 'it''s ok', 'happy', NULL])[i % 4 + 1]::mood,
       ARRAY['a,b', NULL, '"', '\'], jsonb_build_object('i', i, 'nested', jsonb_build_array(i, NULL, '\u00fc')),
       decode(md5(i::text), 'hex') || '\x00'::bytea, ARRAY[ROW(i, NULL)::pair, ROW(NULL, '(),"')::pair], hstore('k', NULL),
       CASE WHEN i > 1 THEN i - 1 END FROM generate_series(1, 500) i;
COMMENT ON TABLE users IS E'quotes '' " and\nlines';
COMMENT ON COLUMN users.data IS 'json';
CREATE INDEX users_trgm ON users USING gin (data);
CREATE UNIQUE INDEX users_part ON users (lower(name::text)) WHERE age > 10;
CREATE STATISTICS users_stat ON age, feeling FROM users;
GRANT SELECT (id, name), UPDATE (name) ON users TO reader;
GRANT ALL ON users TO team WITH GRANT OPTION;

CREATE TABLE "odd, schema"."Table ""with"" '$names' ü" ("select" integer, " " text, "a.b" text);
INSERT INTO "odd, schema"."Table ""with"" '$names' ü" VALUES (1, '\.', NULL), (2, E'\\.\n\\.', ''), (NULL, '\N', E'\b\f\v');
ALTER TABLE "odd, schema"."Table ""with"" '$names' ü" OWNER TO "Odd ""Owner""";
CREATE TABLE nothing (a integer);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS one;

CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY HASH (what);
CREATE TABLE events_2025_0 PARTITION OF events_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE events_2025_1 PARTITION OF events_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
INSERT INTO events SELECT date '2025-01-01' + i, 'event ' || i FROM generate_series(1, 700) i;
CREATE INDEX ON events (what);
CREATE TABLE parent (a integer);
CREATE TABLE child (b text) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 'two'), (3, 'three');

CREATE VIEW adults AS SELECT id, name FROM users WHERE age >= 18 WITH CHECK OPTION;
CREATE MATERIALIZED VIEW by_mood AS SELECT feeling, count(*) FROM users GROUP BY feeling;
CREATE UNIQUE INDEX ON by_mood (feeling);
CREATE MATERIALIZED VIEW later AS SELECT 1 AS a WITH NO DATA;
CREATE FUNCTION add_one(i integer, OUT j integer) LANGUAGE sql IMMUTABLE AS 'SELECT i + 1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tags := NEW.tags || '{touched}'; RETURN NEW; END $$;
CREATE PROCEDURE noop() LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.age > 400) EXECUTE FUNCTION touch();
CREATE RULE ignore AS ON DELETE TO nothing DO INSTEAD NOTHING;
ALTER TABLE "odd, schema"."Table ""with"" '$names' ü" ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON "odd, schema"."Table ""with"" '$names' ü" FOR SELECT TO reader USING ("select" = 1);
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;
CREATE PUBLICATION pub FOR TABLE users (id, name);
CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk');
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere OPTIONS (host 'x');
CREATE FOREIGN TABLE away (a integer) SERVER far;

SELECT lo_from_bytea(4711, decode(repeat('00ff0a5c2e', 30000), 'hex'));
SELECT lo_from_bytea(4712, '');
COMMENT ON LARGE OBJECT 4711 IS 'large';
GRANT SELECT ON LARGE OBJECT 4711 TO reader;
