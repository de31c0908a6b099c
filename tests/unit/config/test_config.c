#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define SOURCE "[source s]\nplugin = directory\npath = /s\n"
#define SINK "[sink d]\nplugin = local\nencryption = none\n"
#define JOB "[job j]\nsources = s\nsinks = d\n"

static struct config *parse(const char *text)
{
    struct config *config;
    struct error e;
    if (config_parse("x.conf", text, strlen(text), true, &config, &e) < 0)
        fail_msg("%s", e.message);
    return config;
}

static void test_whole(void **state)
{
    (void)state;
    struct config *c = parse(
        "[engine]\nstate_dir = /st\ncache_dir = /ca\nplugin_dir = /a, /b\nhost = web-1\nparallel_jobs = 2\njitter = "
        "1h\n"
        "[job j on e]\nkeep_daily = 30\nkeep_yearly = 0\n"
        "[job j]\nsources = s, d\nsinks = d, e\nschedule = 0 2 * * *\nverify_every = 1w\nmax_age = 26h\nkeep_last = 3\n"
        "restore_stop = compose:echo except db\nrestore_order = d\n"
        "[source s]\nplugin = directory\npath = /s\nexclude = *.tmp, cache/\ntimeout = 1h\nretry_for = 0\nwait = 60s\n"
        "[source d]\nplugin = directory\npath = /d\nstall_timeout = 1min\n"
        "[sink d]\nplugin = local\npath = /x\nkey = /k\ntrust_hosts = yes\ngc_every = 0\nformat = repository\n"
        "[sink e]\nplugin = local\npath = /y\nencryption = none\n");
    assert_string_equal(c->state_dir, "/st");
    assert_string_equal(c->cache_dir, "/ca");
    assert_string_equal(c->host, "web-1");
    assert_int_equal(c->parallel_jobs, 2);
    assert_int_equal(c->jitter, 3600000);
    assert_int_equal(c->plugin_dir_count, 2);
    assert_string_equal(c->plugin_dirs[1], "/b");
    assert_int_equal(c->source_count, 2);
    assert_int_equal(c->sink_count, 2);
    const struct config_instance *s, *d, *e;
    const struct config_job *j;
    struct error error;
    assert_int_equal(config_find_source(c, "s", &s, &error), 0);
    assert_string_equal(s->plugin, "directory");
    assert_int_equal(s->role, PLUGIN_SOURCE);
    assert_int_equal(s->line, 20);
    assert_int_equal(s->timeout, 3600000);
    assert_int_equal(s->retry_for, 0);
    assert_int_equal(s->wait, 60000);
    assert_int_equal(s->stall_timeout, 900000);
    assert_int_equal(s->key_count, 2);
    assert_string_equal(s->keys[1].name, "exclude");
    assert_string_equal(s->keys[1].value, "*.tmp, cache/");
    assert_int_equal(s->keys[1].line, 23);
    assert_true(s->keys[1].private_file);
    assert_int_equal(config_find_source(c, "d", &d, &error), 0);
    assert_int_equal(d->retry_for, 60000);
    assert_int_equal(d->wait, 0);
    assert_int_equal(config_find_sink(c, "d", &d, &error), 0);
    assert_int_equal(d->role, PLUGIN_SINK);
    assert_string_equal(d->key, "/k");
    assert_true(d->trust_hosts);
    assert_int_equal(d->gc_every, 0);
    assert_int_equal(d->encryption, CONFIG_ENCRYPTED);
    assert_int_equal(d->key_count, 1);
    assert_int_equal(d->timeout, 0);
    assert_int_equal(d->retry_for, 300000);
    assert_int_equal(config_find_sink(c, "e", &e, &error), 0);
    assert_int_equal(e->encryption, CONFIG_PLAIN);
    assert_null(e->key);
    assert_int_equal(e->gc_every, 86400000);
    assert_int_equal(config_find_job(c, "j", &j, &error), 0);
    assert_int_equal(j->source_count, 2);
    assert_ptr_equal(j->sources[0], s);
    assert_int_equal(j->sink_count, 2);
    assert_ptr_equal(j->sinks[1], e);
    assert_string_equal(j->schedule, "0 2 * * *");
    assert_int_equal(j->verify_every, 604800000);
    assert_int_equal(j->max_age, 93600000);
    assert_int_equal(j->retention.keep_last, 3);
    assert_string_equal(j->restore_stop, "compose:echo except db");
    assert_int_equal(j->restore_order_count, 1);
    assert_ptr_equal(j->restore_order[0], j->sources[1]);
    assert_int_equal(j->retention.keep_daily, -1);
    assert_int_equal(j->override_count, 1);
    assert_ptr_equal(j->overrides[0].sink, e);
    assert_int_equal(j->overrides[0].retention.keep_daily, 30);
    assert_int_equal(j->overrides[0].retention.keep_yearly, 0);
    assert_int_equal(j->overrides[0].retention.keep_last, -1);
    config_free(c);
    config_free(NULL);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *c = parse(SOURCE SINK JOB);
    assert_true(text_is_name(c->host));
    assert_int_equal(c->plugin_dir_count, 1);
    assert_int_equal(c->plugin_dirs[0][0], '/');
    assert_int_equal(c->state_dir[0], '/');
    if (geteuid() == 0) {
        assert_string_equal(c->state_dir, "/var/lib/cofre");
        assert_string_equal(c->cache_dir, "/var/cache/cofre");
    }
    assert_int_equal(c->parallel_jobs, 1);
    assert_int_equal(c->jitter, 0);
    assert_null(c->jobs[0].schedule);
    assert_int_equal(c->jobs[0].verify_every, 0);
    assert_int_equal(c->jobs[0].max_age, 0);
    assert_int_equal(c->jobs[0].retention.keep_last, -1);
    config_free(c);
}

/* What holds for a sink: its override, else the job's, else the default; for other hosts, the sink's own. */
static void test_retention(void **state)
{
    (void)state;
    struct config *c =
        parse(SOURCE SINK "keep_within = 2d\n[sink e]\nplugin = local\nkey = /k\n"
                          "[job j]\nsources = s\nsinks = d, e\nkeep_daily = 7\nkeep_weekly = 4\nkeep_yearly = 2\n"
                          "prune = manual\n[job j on e]\nkeep_daily = 30\nkeep_weekly = 0\n"
                          "keep_min = 1\nkeep_incomplete = 0\nprune = after_run\n");
    struct config_retention r;
    config_retention_of(&c->jobs[0], &c->sinks[0], &r);
    assert_int_equal(r.keep_daily, 7);
    assert_int_equal(r.keep_weekly, 4);
    assert_int_equal(r.keep_last, -1);
    assert_int_equal(r.keep_within, -1);
    assert_int_equal(r.keep_min, 3);
    assert_int_equal(r.keep_incomplete, 7 * 86400000);
    assert_int_equal(r.prune, CONFIG_MANUAL);
    config_retention_of(&c->jobs[0], &c->sinks[1], &r);
    assert_int_equal(r.keep_daily, 30);
    assert_int_equal(r.keep_weekly, 0);
    assert_int_equal(r.keep_yearly, 2);
    assert_int_equal(r.keep_min, 1);
    assert_int_equal(r.keep_incomplete, 0);
    assert_int_equal(r.prune, CONFIG_AFTER_RUN);
    assert_true(config_retention_rules(&r));
    config_retention_of_others(&c->sinks[0], &r);
    assert_int_equal(r.keep_within, 2 * 86400000);
    assert_true(config_retention_rules(&r));
    config_retention_of_others(&c->sinks[1], &r);
    assert_false(config_retention_rules(&r));
    config_free(c);
}

static void test_expansion(void **state)
{
    (void)state;
    setenv("COFRE_TEST_A", "/srv/a", 1);
    struct config *c = parse(
        "[source s]\nplugin = directory\npath = ${COFRE_TEST_A}/${COFRE_TEST_A}$x$$\nexclude = $${a} $$${\n" SINK JOB);
    assert_string_equal(c->sources[0].keys[0].value, "/srv/a//srv/a$x$$");
    assert_string_equal(c->sources[0].keys[1].value, "${a} $${");
    config_free(c);
}

struct bad_case {
    const char *text, *message, *hint;
};

static void check_bad(const struct bad_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct config *config;
        struct error e;
        if (config_parse("x.conf", cases[i].text, strlen(cases[i].text), true, &config, &e) == 0)
            fail_msg("taken: %s", cases[i].text);
        assert_null(config);
        assert_int_equal(e.class, ERROR_CONFIG);
        assert_string_equal(e.message, cases[i].message);
        if (strcmp(cases[i].hint, "*") != 0)
            assert_string_equal(e.hint, cases[i].hint);
    }
}

static void test_bad_sections(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"a = b", "x.conf:1: a key stands before the first [section]", ""},
        {"\n[sorce x]", "x.conf:2: unknown section 'sorce'", "did you mean 'source'?"},
        {"[Source x]", "x.conf:1: unknown section 'Source'", "did you mean 'source'?"},
        {"[plugins]", "x.conf:1: unknown section 'plugins'", "sections: engine, source, sink, notify, job"},
        {"[]", "x.conf:1: the section has no name", ""},
        {"[source]", "x.conf:1: write [source NAME]", ""},
        {"[sink a b]", "x.conf:1: write [sink NAME]", ""},
        {"[job]", "x.conf:1: write [job NAME] or [job NAME on SINK]", ""},
        {"[job a at b]", "x.conf:1: write [job NAME] or [job NAME on SINK]", ""},
        {"[job a on b c]", "x.conf:1: write [job NAME] or [job NAME on SINK]", ""},
        {"[engine x]", "x.conf:1: [engine] takes no name", ""},
        {"[source Gym]", "x.conf:1: 'Gym' is no name", "*"},
        {"[job j on D]", "x.conf:1: 'D' is no name", "*"},
        {"[source s.1]", "x.conf:1: 's.1' is no name",
         "a name is at most 63 of a-z, 0-9, '-' and '_', and begins with a letter or digit"},
        {"[engine]\n[engine]", "x.conf:2: duplicate section '[engine]': it stands at x.conf:1 already", ""},
        {SOURCE SOURCE, "x.conf:4: duplicate section '[source s]': it stands at x.conf:1 already", ""},
        {"[job j on d]\n[job j on d]", "x.conf:2: duplicate section '[job j on d]': it stands at x.conf:1 already", ""},
    };
    check_bad(cases, COUNT(cases));
}

static void test_bad_keys(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"[engine]\nstatedir = /x", "x.conf:2: unknown key 'statedir' in [engine]", "did you mean 'state_dir'?"},
        {"[engine]\nport = 1", "x.conf:2: unknown key 'port' in [engine]",
         "known keys: state_dir, cache_dir, plugin_dir, env_file, log, host, parallel_jobs, jitter, notify, escalate"},
        {"[engine]\nhost = a\nhost = b", "x.conf:3: duplicate key 'host': it stands in line 2 already", ""},
        {"[engine]\nState_Dir = /x", "x.conf:2: what stands before '=' is no key: a key is made of a-z, 0-9 and '_'",
         "did you mean 'state_dir'?"},
        {"[engine]\nstate-dir = /x", "x.conf:2: what stands before '=' is no key: a key is made of a-z, 0-9 and '_'",
         "did you mean 'state_dir'?"},
        {"[engine]\nc2VjcmV0== x", "x.conf:2: what stands before '=' is no key: a key is made of a-z, 0-9 and '_'", ""},
        {"[engine]\n= x", "x.conf:2: what stands before '=' is no key: a key is made of a-z, 0-9 and '_'", ""},
        {"[engine]\nhost =", "x.conf:2: 'host' has no value", "give it one, or take the line out"},
        {"[engine]\nhost = ; web", "x.conf:2: 'host' has no value", "*"},
        {"[engine]\nhost = \"web\"", "x.conf:2: the value of 'host' stands in quotes", "*"},
        {"[engine]\nhost = Web.Example", "x.conf:2: 'host': 'Web.Example' is no name",
         "write it with a-z, 0-9, '-' and '_': web-example"},
        {"[engine]\nstate_dir = x", "x.conf:2: 'state_dir': 'x' is no absolute path: it must begin with '/'", ""},
        {"[engine]\nplugin_dir = /a, b", "x.conf:2: 'plugin_dir': 'b' is no absolute path: it must begin with '/'", ""},
        {"[engine]\nhost = ${COFRE_TEST_NONE}",
         "x.conf:2: 'host': the environment variable 'COFRE_TEST_NONE' is not set", ""},
        {"[engine]\nhost = ${COFRE_TEST_EMPTY}",
         "x.conf:2: 'host': the environment variable 'COFRE_TEST_EMPTY' is empty", ""},
        {"[engine]\nhost = a${", "x.conf:2: 'host': '${' is not followed by the name of a variable and '}'",
         "write $${ for a literal ${"},
        {"[engine]\nhost = ${}", "x.conf:2: 'host': '${' is not followed by the name of a variable and '}'", "*"},
        {"[engine]\nhost = ${A", "x.conf:2: 'host': '${' is not followed by the name of a variable and '}'", "*"},
        {"[engine]\nhost = ${1A}", "x.conf:2: 'host': '${' is not followed by the name of a variable and '}'", "*"},
        {"[engine]\nhost = ${A-b}", "x.conf:2: 'host': '${' is not followed by the name of a variable and '}'", "*"},
        {"[engine]\nhost = a\n  b", "x.conf:3: the line is indented", "*"},
    };
    setenv("COFRE_TEST_EMPTY", "", 1);
    check_bad(cases, COUNT(cases));
}

static void test_bad_instances(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"[source s]\npath = /x", "x.conf:1: [source s] has no 'plugin'", "plugin: which plugin does it"},
        {"[source s]\nplugni = directory", "x.conf:1: [source s] has no 'plugin'",
         "did you mean 'plugin' in line 2, where 'plugni' stands?"},
        {"[source s]\nplugin = ./a.so", "x.conf:2: 'plugin': './a.so' is no name", "*"},
        {"[source s]\nplugin = directory\ntimeout = 15m",
         "x.conf:3: 'timeout': '15m' is no duration: 'm' could be minutes or months; write 15min or 15mo", ""},
        {"[source s]\nplugin = directory\nstall_timeout = never",
         "x.conf:3: 'stall_timeout': 'never' is no duration: write 90s, 15min, 6h, 7d, 4w, 6mo or 1y", ""},
        {"[source s]\nplugin = directory\nkey = /k", "x.conf:3: unknown key 'key' in [source s]",
         "'key' belongs into [sink NAME]"},
        {"[source s]\nplugin = directory\nkeep_daily = 3", "x.conf:3: unknown key 'keep_daily' in [source s]",
         "'keep_daily' belongs into [job NAME] or [job NAME on SINK]"},
        {"[sink d]\nplugin = local", "x.conf:1: [sink d] has no 'key'",
         "write key = /etc/cofre/keys/NAME.key ('cofre init d' makes it), or encryption = none"},
        {"[sink d]\nplugin = local\nkye = /k", "x.conf:1: [sink d] has no 'key'",
         "did you mean 'key' in line 3, where 'kye' stands?"},
        {"[sink d]\nplugin = local\nkey = k", "x.conf:3: 'key': 'k' is no absolute path: it must begin with '/'", ""},
        {"[sink d]\nplugin = local\nkey = /k\nencryption = none",
         "x.conf:4: [sink d] has both 'key' and 'encryption = none'", "take one of the two out"},
        {"[sink d]\nplugin = local\nencryption = nome", "x.conf:3: 'encryption': 'nome' is not none",
         "did you mean 'none'?"},
        {"[sink d]\nplugin = local\nencryption = yes", "x.conf:3: 'encryption': 'yes' is not none", ""},
        {"[sink d]\nplugin = local\nformat = archive", "x.conf:1: [sink d] does not say how its archive is encrypted",
         "write encrypt_to = FINGERPRINT, ..., or passphrase = @file:PATH, or encryption = none"},
        {SINK "format = archive\npassphrase = @file:/x", "x.conf:3: [sink d] has both 'passphrase' and 'encryption'",
         "take one of the two out"},
        {SINK "format = archive\ntrust_hosts = no",
         "x.conf:5: 'trust_hosts' is for format = repository, and [sink d] has format = archive", ""},
        {SINK "encrypt_to = x", "x.conf:4: 'encrypt_to' is for format = archive, and [sink d] has format = repository",
         ""},
        {SINK "format = repositry", "x.conf:4: 'format': 'repositry' is none of repository, archive",
         "did you mean 'repository'?"},
        {SINK "trust_hosts = true", "x.conf:4: 'trust_hosts': 'true' is neither yes nor no", ""},
        {SINK "gc_every = 1s", "x.conf:4: 'gc_every': it is less than a minute",
         "write a duration such as 1d, or 0 for never"},
        {SINK "keep_last = 0", "x.conf:1: [sink d] keeps no snapshot at all", "*"},
        {SINK "keep_min = 0", "x.conf:4: 'keep_min': '0' is not between 1 and 100000", ""},
    };
    check_bad(cases, COUNT(cases));
}

static void test_bad_jobs(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {SOURCE SINK "[job j]\nsinks = d", "x.conf:7: [job j] has no 'sources'", "*"},
        {SOURCE SINK "[job j]\nsources = s", "x.conf:7: [job j] has no 'sinks'", "*"},
        {SOURCE SINK "[job j]\nsources = s\nsinks =", "x.conf:9: 'sinks' has no value", "*"},
        {SOURCE SINK "[job j]\nsources = t\nsinks = d", "x.conf:8: [job j]: there is no [source t]", "sources: s"},
        {SOURCE "[source uploads]\nplugin = directory\n" SINK "[job j]\nsources = uplaods\nsinks = d",
         "x.conf:10: [job j]: there is no [source uplaods]", "did you mean 'uploads'?"},
        {SOURCE SINK "[job j]\nsources = d\nsinks = d", "x.conf:8: [job j]: there is no [source d]", "'d' is a sink"},
        {SOURCE SINK "[job j]\nsources = s\nsinks = s", "x.conf:9: [job j]: there is no [sink s]", "'s' is a source"},
        {SOURCE SINK "[job j]\nsources = s, s\nsinks = d", "x.conf:8: [job j] names the source 's' twice", ""},
        {SOURCE SINK "[job j]\nsources = s\nsinks = d,d", "x.conf:9: [job j] names the sink 'd' twice", ""},
        {SOURCE SINK "[job j]\nsources = s,\nsinks = d",
         "x.conf:8: 'sources': item 2 of the list is empty: write 'a, b', and '\\,' for a comma in an item", ""},
        {SOURCE SINK JOB "shedule = @daily", "x.conf:10: unknown key 'shedule' in [job j]", "did you mean 'schedule'?"},
        {SOURCE SINK JOB "schedule = 0 25 * * *",
         "x.conf:10: 'schedule': '0 25 * * *' is no schedule: hour '25' is not made of 0 to 23, '*', 'a-b', 'a,b' or "
         "'*/n'",
         "*"},
        {SOURCE SINK JOB "max_age = 26",
         "x.conf:10: 'max_age': '26' is no duration: it has no unit; write 26s, 26min, "
         "26h, ...",
         ""},
        {SOURCE SINK JOB "max_age = 0s", "x.conf:10: 'max_age': '0s' is not between 1 and 3153600000000 milliseconds",
         ""},
        {SOURCE SINK JOB "keep_daily = 7 # days", "x.conf:10: 'keep_daily': '7 # days' is no whole number",
         "a comment behind a value begins with ' ;'"},
        {SOURCE SINK JOB "restore_order = t", "x.conf:10: [job j]: there is no [source t]", "restore_order: s"},
        {SOURCE SINK JOB "restore_order = s, s", "x.conf:10: [job j] names the source 's' twice", ""},
        {SOURCE "[source t]\nplugin = directory\n" SINK JOB "restore_order = t",
         "x.conf:12: [job j]: 'restore_order': 't' is not among the job's sources",
         "name it in sources, too, or take it out of restore_order"},
        {SOURCE SINK JOB "restore_stop =", "x.conf:10: 'restore_stop' has no value", "*"},
        {SOURCE SINK JOB "keep_last = -1", "x.conf:10: 'keep_last': '-1' is not between 0 and 100000", ""},
        {SOURCE SINK JOB "keep_last = 0", "x.conf:7: [job j] keeps no snapshot at all", "*"},
        {SOURCE SINK JOB "keep_dialy = 3", "x.conf:10: unknown key 'keep_dialy' in [job j]",
         "did you mean 'keep_daily'?"},
    };
    check_bad(cases, COUNT(cases));
}

static void test_bad_overrides(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {SOURCE SINK JOB "[job k on d]\nkeep_last = 1", "x.conf:10: [job k on d]: there is no [job k]", "jobs: j"},
        {SOURCE SINK "[job nightly]\nsources = s\nsinks = d\n[job nigthly on d]\n",
         "x.conf:10: [job nigthly on d]: there is no [job nigthly]", "did you mean 'nightly'?"},
        {SOURCE SINK JOB "[job j on e]\nkeep_last = 1", "x.conf:10: [job j on e]: 'e' is not among the job's sinks",
         "its sinks: d"},
        {SOURCE SINK "[sink nass]\nplugin = local\nkey = /k\n[sink nas]\nplugin = local\nkey = /k\n"
                     "[job j]\nsources = s\nsinks = nas\n[job j on nass]",
         "x.conf:16: [job j on nass]: 'nass' is not among the job's sinks", "did you mean 'nas'?"},
        {SOURCE SINK JOB "[job j on d]\nschedule = @daily", "x.conf:11: unknown key 'schedule' in [job j on d]", "*"},
        {SOURCE SINK JOB "keep_last = 2\n[job j on d]\nkeep_last = 0",
         "x.conf:11: [job j on d] keeps no snapshot at all", "*"},
        {SOURCE SINK JOB "prune = daily", "x.conf:10: 'prune': 'daily' is none of after_run, manual, elsewhere", "*"},
    };
    check_bad(cases, COUNT(cases));
}

static void test_find(void **state)
{
    (void)state;
    struct config *c = parse(SOURCE SINK "[job nightly]\nsources = s\nsinks = d\n");
    struct error e;
    const struct config_job *job;
    const struct config_instance *instance;
    assert_int_equal(config_find_job(c, "nigthly", &job, &e), -1);
    assert_int_equal(e.class, ERROR_CONFIG);
    assert_string_equal(e.hint, "did you mean 'nightly'?");
    assert_int_equal(config_find_sink(c, "s", &instance, &e), -1);
    assert_non_null(strstr(e.message, "no sink 's' is configured"));
    assert_int_equal(config_find_source(c, "nothing", &instance, &e), -1);
    assert_string_equal(e.hint, "sources: s");
    config_free(c);
}

/* A secret on a line that went wrong must not come out in the message. */
static void test_messages_keep_secrets(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "password = c4nary${",
        "password = \"c4nary\"",
        "password : c4nary",
        "c4nary",
        "  c4nary",
        "C4nary = x",
        "c4nary-x = 1",
        "password = c4nary\x01",
        "password = c4nary\xff",
        "password = c4nary${C4_NO}",
        "[c4nary",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        char text[200];
        struct config *config;
        struct error e;
        snprintf(text, sizeof text, "[source s]\nplugin = p\n%s\n", lines[i]);
        int result = config_parse("x.conf", text, strlen(text), true, &config, &e);
        if (result == 0) { /* a variable that is not set is an error when the section is used */
            result = config_usable(&config->sources[0], &e);
            config_free(config);
        }
        assert_int_equal(result, -1);
        if (strstr(e.message, "4nary") || strstr(e.hint, "4nary"))
            fail_msg("%s", e.message);
        assert_memory_equal(e.message, "x.conf:3: ", 10);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    struct bytes text = {.maximum = 1 << 20};
    struct config *config;
    struct error e;
    bytes_print(&text, "[source s]\nplugin = p\n");
    for (int i = 0; i < 300; i++)
        bytes_print(&text, "k%d = 1\n", i);
    assert_int_equal(config_parse("x.conf", text.data, text.length, true, &config, &e), -1);
    assert_string_equal(e.message, "x.conf:258: more than 256 keys in a section");
    bytes_reset(&text);
    for (int i = 0; i < 5000; i++)
        bytes_print(&text, "[source s%d]\nplugin = p\n", i);
    assert_int_equal(config_parse("x.conf", text.data, text.length, true, &config, &e), -1);
    assert_string_equal(e.message, "x.conf:8193: more than 4096 sections");
    bytes_free(&text);
}

static void expect_too_much(const char *before, const char *piece, int times, const char *after, const char *message)
{
    AUTO_BYTES struct bytes text = {.maximum = 1 << 20};
    struct config *config;
    struct error e;
    bytes_print(&text, "%s", before);
    for (int i = 0; i < times; i++)
        bytes_print(&text, "%s", piece);
    bytes_print(&text, "%s", after);
    assert_int_equal(config_parse("x.conf", text.data, text.length, true, &config, &e), -1);
    assert_int_equal(e.class, ERROR_CONFIG);
    if (!strstr(e.message, message))
        fail_msg("'%s' instead of '%s'", e.message, message);
}

static void test_long_values(void **state)
{
    (void)state;
    static char value[4097];
    memset(value, 'v', sizeof value - 1);
    setenv("COFRE_TEST_LONG", value, 1);
    expect_too_much("[source ", "x", 400, "]", "x.conf:1: the section's name is too long");
    expect_too_much("[engine]\nhost = ", "${COFRE_TEST_LONG}", 40, "", "x.conf:2: 'host': the value is longer than");
    unsetenv("COFRE_TEST_LONG");
}

/* ---- directories ---- */

static char directory[] = "/tmp/cofre-test-config-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int clean(void **state)
{
    (void)state;
    char command[200];
    chmod(directory, 0700);
    snprintf(command, sizeof command, "find '%s' -mindepth 1 -delete", directory);
    return system(command);
}

static int tear_down(void **state)
{
    clean(state);
    return rmdir(directory);
}

static const char *put(const char *name, const char *text, size_t length)
{
    static char path[4096];
    struct error e;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (file_write(path, text, length, FILE_REPLACE, &e) < 0)
        fail_msg("%s", e.message);
    return path;
}

static void load_error(const char *message, const char *hint)
{
    struct config *config;
    struct error e;
    assert_int_equal(config_load(directory, &config, &e), -1);
    assert_null(config);
    assert_int_equal(e.class, ERROR_CONFIG);
    if (!strstr(e.message, message) || !strstr(e.hint, hint))
        fail_msg("%s (%s)", e.message, e.hint);
}

static void test_load_order(void **state)
{
    (void)state;
    static const char job[] = JOB, source[] = SOURCE, sink[] = SINK "path = a ; x\r\n";
    put("10.conf", job, sizeof job - 1);
    put("9.conf", sink, sizeof sink - 1);
    chmod(put("B.conf", source, sizeof source - 1), 0644);
    put(".hidden.conf", "?", 1);
    put("x.conf.bak", "?", 1);
    put("README", "?", 1);
    struct config *c;
    struct error e;
    if (config_load(directory, &c, &e) < 0)
        fail_msg("%s", e.message);
    assert_string_equal(c->directory, directory);
    assert_int_equal(c->file_count, 3);
    assert_non_null(strstr(c->files[0], "/10.conf"));
    assert_non_null(strstr(c->files[1], "/9.conf"));
    assert_non_null(strstr(c->files[2], "/B.conf"));
    assert_true(c->sinks[0].keys[0].private_file);
    assert_false(c->sources[0].keys[0].private_file);
    config_free(c);
    setenv("COFRE_CONFIG_DIR", directory, 1);
    assert_int_equal(config_load(NULL, &c, &e), 0);
    config_free(c);
    unsetenv("COFRE_CONFIG_DIR");
    static const char again[] = SOURCE;
    put("C.conf", again, sizeof again - 1);
    load_error("C.conf:1: duplicate section '[source s]': it stands at", "");
    load_error("/B.conf:1 already", "");
    put("C.conf", "a = b", 5);
    load_error("C.conf:1: a key stands before the first [section]", "");
}

static void test_load_refuses(void **state)
{
    (void)state;
    struct config *c;
    struct error e;
    load_error("holds no *.conf file", "--config-dir");
    unlink(put("a.txt", "", 0));
    const char *near = put("a.ini", "[engine]\n", 9);
    load_error("holds no *.conf file", "only names that end in .conf are read: rename '");
    unlink(near);
    assert_int_equal(config_load("/nonexistent/conf.d", &c, &e), -1);
    assert_int_equal(e.class, ERROR_CONFIG);
    assert_string_equal(e.message, "read config directory '/nonexistent/conf.d': No such file or directory");
    assert_string_equal(e.hint, "make it, or name another one with --config-dir or COFRE_CONFIG_DIR");
    const char *path = put("a.conf", "[engine]\n", 9);
    chmod(path, 0666);
    load_error("a.conf' can be written by others (mode 0666)", "chmod go-w");
    chmod(path, 0620);
    load_error("can be written by others (mode 0620)", "chmod go-w");
    chmod(path, 0644);
    chmod(directory, 0777);
    load_error("can be written by others (mode 0777)", "chmod go-w");
    chmod(directory, 0700);
    char *large = malloc(CONFIG_FILE_MAX + 1);
    memset(large, ';', CONFIG_FILE_MAX + 1);
    for (size_t i = 100; i < CONFIG_FILE_MAX; i += 100)
        large[i] = '\n';
    put("a.conf", large, CONFIG_FILE_MAX);
    assert_int_equal(config_load(directory, &c, &e), 0);
    config_free(c);
    put("a.conf", large, CONFIG_FILE_MAX + 1);
    load_error("larger than 1048576 bytes", "");
    free(large);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    load_error("is not a regular file", "");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    load_error("is not a regular file", "");
    unlink(path);
    assert_int_equal(symlink("nowhere", path), 0);
    load_error("No such file or directory", "");
}

/* ---- the samples ---- */

static const struct option directory_options[] = {
    {"path", OPTION_PATH, OPTION_REQUIRED | OPTION_RESTORE, NULL, 0, 0, NULL, "help"},
    {"exclude", OPTION_LIST, 0, NULL, 0, 0, NULL, "help"},
    {"include", OPTION_LIST, 0, NULL, 0, 0, NULL, "help"},
    {"exclude_caches", OPTION_BOOLEAN, 0, "no", 0, 0, NULL, "help"},
    {"one_file_system", OPTION_BOOLEAN, 0, "no", 0, 0, NULL, "help"},
    {"numeric_owner", OPTION_BOOLEAN, 0, "no", 0, 0, NULL, "help"},
};
static const struct option local_options[] = {
    {"path", OPTION_PATH, OPTION_REQUIRED, NULL, 0, 0, NULL, "help"},
};

/* Options of other plugins are held against the plugins themselves, in tests/system. */
static void check_instance(const struct config_instance *instance)
{
    static const struct {
        const char *plugin;
        const struct option *options;
        size_t count;
    } known[] = {
        {"directory", directory_options, COUNT(directory_options)},
        {"local", local_options, COUNT(local_options)},
    };
    struct config_value *values;
    struct error e;
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(instance->plugin, known[i].plugin) != 0)
            continue;
        if (config_check_syntax(instance, known[i].options, known[i].count, &values, &e) < 0)
            fail_msg("%s", e.message);
        config_values_free(values, known[i].count);
    }
}

static void check_samples(void)
{
    struct config *c;
    struct error e;
    if (config_load(directory, &c, &e) < 0)
        fail_msg("%s (%s)", e.message, e.hint);
    for (size_t i = 0; i < c->source_count; i++)
        check_instance(&c->sources[i]);
    for (size_t i = 0; i < c->sink_count; i++)
        check_instance(&c->sinks[i]);
    config_free(c);
}

/* Each alone, and all together. A copy, since the modes of a working tree are nobody's promise. */
static void test_samples(void **state)
{
    struct error e;
    size_t count = 0;
    DIR *samples = opendir(SAMPLES);
    assert_non_null(samples);
    struct bytes all[32];
    char names[32][100];
    for (struct dirent *entry; (entry = readdir(samples));) {
        char path[500];
        if (!strstr(entry->d_name, ".conf"))
            continue;
        all[count] = (struct bytes){.maximum = CONFIG_FILE_MAX};
        snprintf(path, sizeof path, "%s/%s", SAMPLES, entry->d_name);
        snprintf(names[count], sizeof names[count], "%.99s", entry->d_name);
        assert_int_equal(file_read(path, CONFIG_FILE_MAX, &all[count], &e), 0);
        assert_true(++count < 32);
    }
    closedir(samples);
    assert_true(count >= 4);
    for (size_t i = 0; i < count; i++) {
        clean(state);
        put(names[i], (char *)all[i].data, all[i].length);
        check_samples();
    }
    for (size_t i = 0; i < count; i++)
        put(names[i], (char *)all[i].data, all[i].length);
    check_samples();
    for (size_t i = 0; i < count; i++)
        bytes_free(&all[i]);
}

static void test_without_files(void **state)
{
    (void)state;
    struct config *c;
    struct error e;
    assert_int_equal(config_defaults(&c, &e), 0);
    assert_true(c->host[0] != '\0' && c->plugin_dir_count == 1 && c->plugin_dirs[0][0] == '/');
    assert_true(c->source_count + c->sink_count + c->job_count == 0 && !c->state_dir && !c->cache_dir);
    config_free(c);
}

/* Of anybody but root. */
static void expect_places(const char *variable, const char *home, const char *state_dir, const char *fault)
{
    struct config *c = NULL;
    struct error e;
    uid_t before = geteuid();
    variable ? setenv("XDG_STATE_HOME", variable, 1) : unsetenv("XDG_STATE_HOME");
    home ? setenv("HOME", home, 1) : unsetenv("HOME");
    assert_true(before != 0 || seteuid(65534) == 0);
    int result = config_load(directory, &c, &e);
    assert_int_equal(seteuid(before), 0);
    assert_int_equal(result, fault ? -1 : 0);
    if (fault)
        assert_string_equal(e.message, fault);
    else
        assert_int_equal(strncmp(c->state_dir, state_dir, strlen(state_dir)), 0);
    config_free(c);
}

static void test_places_of_a_user(void **state)
{
    (void)state;
    char *home = text_copy(getenv("HOME") ? getenv("HOME") : "/");
    put("a.conf", SOURCE, strlen(SOURCE));
    char path[4096];
    snprintf(path, sizeof path, "%s/a.conf", directory);
    assert_true(chmod(directory, 0755) == 0 && chmod(path, 0644) == 0);
    expect_places("/var/own", "/home/ben", "/var/own/cofre/by-config/", NULL);
    expect_places("own", "/home/ben", "/home/ben/.local/state/cofre/by-config/", NULL);
    expect_places(NULL, "/home/ben", "/home/ben/.local/state/cofre/by-config/", NULL);
    expect_places(NULL, "home", NULL, "HOME is not set, so there is no place for cofre's own files");
    expect_places(NULL, NULL, NULL, "HOME is not set, so there is no place for cofre's own files");
    setenv("HOME", home, 1);
    free(home);
}

static void test_exists(void **state)
{
    (void)state;
    assert_false(config_exists(directory));
    put("notes.txt", "x", 1);
    assert_false(config_exists(directory));
    put("a.conf", "", 0);
    assert_true(config_exists(directory));
    assert_false(config_exists("/nonexistent/cofre"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_expansion),
        cmocka_unit_test(test_bad_sections),
        cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_bad_instances),
        cmocka_unit_test(test_bad_jobs),
        cmocka_unit_test(test_bad_overrides),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_messages_keep_secrets),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test_teardown(test_places_of_a_user, clean),
        cmocka_unit_test_teardown(test_load_order, clean),
        cmocka_unit_test_teardown(test_load_refuses, clean),
        cmocka_unit_test_teardown(test_samples, clean),
        cmocka_unit_test(test_without_files),
        cmocka_unit_test_teardown(test_exists, clean),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
