/* Who is told what: records and the status, hour after hour, against what arrives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "operation/events.h"
#include "operation/status.h"

#define HOUR (INT64_C(3600) * 1000000000)
#define START (INT64_C(1800000000) * 1000000000)
#define ALL ((1u << CONFIG_EVENTS) - 1)
#define BUT(event) (ALL & ~(1u << (event)))
#define ONLY(event) (1u << (event))

/* What happens, each with the hour: records of runs,
 *   G complete, F failed, f failed with another number in its error, E failed with another error, K killed, I
 * incomplete, i incomplete of another source, S suspect, P complete of some sources, p failed of some sources, X a word
 * nobody knows with status 0, N failed because of another run; Y complete, and its sink says that a key expires,
 *   y the same a day later, z complete, and it says nothing of the kind, Z failed, and did not come to it; of verify: V
 * verified, Q quickly, D damaged, O one snapshot whole; of others: R a restore failed, C a copy is complete, c a copy
 * failed, W a run is complete and has removed, M prune removed, m it removed nothing, H prune held back; of the status:
 * A the job is stale, a no longer, B the sink is full, q nearly, b no longer; and T time goes by, - the network is
 * away, + it is back, L the job is no concern any more. What arrives: the event, in capitals when it is a reminder. */
static const struct {
    const char *happens;
    unsigned on;
    int remind, delay; /* hours */
    const char *arrives;
} cases[] = {
    /* success, each time */
    {"G0 G24 G48", ALL, 24, 0, "success success success"},
    {"G0 G24", BUT(CONFIG_SUCCESS), 24, 0, ""},
    {"P0 X1 T99", ALL, 24, 0, ""},
    {"G0 T24 T48", ALL, 24, 0, "success"},
    /* a failure: once, until it changes */
    {"F0 F1 F2", ALL, 24, 0, "failure"},
    {"F0 f1 f2", ALL, 24, 0, "failure"},
    {"F0 E1 E2", ALL, 24, 0, "failure failure"},
    {"F0 E1 F2", ALL, 24, 0, "failure failure failure"},
    {"F0 K1 K2", ALL, 24, 0, "failure failure"},
    {"F0 N1", ALL, 24, 0, "failure failure"},
    {"F0 I1 F2", ALL, 24, 0, "failure incomplete failure"},
    {"I0 I1 i2 i3", ALL, 24, 0, "incomplete incomplete"},
    {"S0 S1", ALL, 24, 0, "suspect"},
    {"F0 P1 F2", ALL, 24, 0, "failure"},
    {"p0", ALL, 24, 0, "failure"},
    /* reminders */
    {"F0 F23 F24 F25 F47 F48", ALL, 24, 0, "failure FAILURE FAILURE"},
    {"F0 T23 T24 T25 T48", ALL, 24, 0, "failure FAILURE FAILURE"},
    {"F0 E20 T25 T44", ALL, 24, 0, "failure failure FAILURE"},
    {"F0 T99 T999", ALL, 0, 0, "failure"},
    {"I0 T24 S25 T48 T49", ALL, 24, 0, "incomplete INCOMPLETE suspect SUSPECT"},
    /* back again */
    {"F0 G1 G2", ALL, 24, 0, "failure recovered success success"},
    {"F0 G1 F2 G3", BUT(CONFIG_SUCCESS), 24, 0, "failure recovered failure recovered"},
    {"F0 T24 G25 T99", BUT(CONFIG_SUCCESS), 24, 0, "failure FAILURE recovered"},
    {"F0 I1 S2 G3", BUT(CONFIG_SUCCESS), 24, 0, "failure incomplete suspect recovered"},
    {"F0 P1 X2", ALL, 24, 0, "failure"},
    /* nobody is told that what he was not told is over */
    {"F0 G1", ONLY(CONFIG_RECOVERED), 24, 0, ""},
    {"I0 G1", BUT(CONFIG_INCOMPLETE) & BUT(CONFIG_SUCCESS), 24, 0, ""},
    {"F0 I1 G2", ONLY(CONFIG_FAILURE) | ONLY(CONFIG_RECOVERED), 24, 0, "failure recovered"},
    {"F0 G1", ONLY(CONFIG_FAILURE), 24, 0, "failure"},
    {"F0 I1 F2", ONLY(CONFIG_FAILURE), 24, 0, "failure failure"},
    {"F0 G1", ONLY(CONFIG_SUCCESS), 24, 0, "success"},
    /* each command by itself */
    {"F0 V1 G2", BUT(CONFIG_SUCCESS), 24, 0, "failure recovered"},
    {"D0 G1 D2 V3", BUT(CONFIG_SUCCESS), 24, 0, "failure recovered"},
    {"D0 Q1 O2 T24 V25", ALL, 24, 0, "failure FAILURE recovered"},
    {"V0 Q1 O2", ALL, 24, 0, ""},
    {"R0 R1 T99", ALL, 24, 0, "failure failure"},
    {"c0 C1 T99", ALL, 24, 0, "failure"},
    {"C0", ALL, 24, 0, ""},
    {"M0 m1 M2", ALL, 24, 0, "removed removed"},
    {"W0 W1", ALL, 24, 0, "removed success removed success"},
    {"M0", BUT(CONFIG_REMOVED), 24, 0, ""},
    {"H0 H1 M2", ALL, 24, 0, "incomplete removed recovered"},
    /* the status */
    {"A0 T1 A2 T24 a25 T99", ALL, 24, 0, "stale STALE recovered"},
    {"A0 a1 A2", ALL, 24, 0, "stale recovered stale"},
    {"A0 a1", BUT(CONFIG_STALE), 24, 0, ""},
    {"a0 T1", ALL, 24, 0, ""},
    {"A0 F1 G2 a2", BUT(CONFIG_SUCCESS), 24, 0, "stale failure recovered recovered"},
    {"B0 T1 B2 T24 b25 T99 B100", ALL, 24, 0, "space SPACE space"},
    {"q0 B1 q2 B3 q4 T25 b26 q27 B28", ALL, 24, 0, "space SPACE space"},
    /* a key that expires: of the sink, whatever the run came to; its end is no news */
    {"Y0 y1 y25 z26 Y27", BUT(CONFIG_SUCCESS), 24, 0, "key_expiry KEY_EXPIRY key_expiry"},
    {"Y0 Z1 y2 T24", ONLY(CONFIG_KEY_EXPIRY), 24, 0, "key_expiry KEY_EXPIRY"},
    {"Y0 Z1", ONLY(CONFIG_FAILURE), 24, 0, "failure"},
    /* what could not be told is told later, each once */
    {"- F0 G1 F2 + T3", BUT(CONFIG_SUCCESS), 24, 0, "failure recovered failure"},
    {"- F0 T24 T48 T72 + T73 T74 T96 T97", ALL, 24, 0, "failure FAILURE"},
    {"F0 - T24 T48 T72 + T73 T74 T96", ALL, 24, 0, "failure FAILURE"},
    {"- G0 G1 + G2", ALL, 24, 0, "success success success"},
    /* but not for ever */
    {"- F0 G1 + T170", BUT(CONFIG_SUCCESS), 0, 0, ""},
    {"- F0 E90 + T170", ALL, 0, 0, "failure"},
    /* escalation: what is still so after a while, whatever it is by then */
    {"F0 T23 T24 T25", ALL, 24, 24, "failure"},
    {"F0 F10 E20 F24 T25", ALL, 24, 24, "failure"},
    {"F0 I20 T24", ALL, 24, 24, "incomplete"},
    {"F0 G23 T24 T25", ALL, 24, 24, ""},
    {"F0 G23 F23 T24 T46 T47", ALL, 24, 24, "failure"},
    {"F0 T24 G25", ALL, 24, 24, "failure recovered"},
    {"F0 T24 T48 E49", ALL, 24, 24, "failure FAILURE failure"},
    {"A0 T23 A24 a25", ALL, 24, 24, "stale recovered"},
    {"G0 M1 R2", ALL, 24, 24, ""},
    /* whose concern it is no more */
    {"F0 L1 T24 T48", ALL, 24, 0, "failure"},
    {"F0 L1 G2", ALL, 24, 0, "failure"},
    {"L0 F1 G2 M3 A4 B5", ALL, 24, 0, ""},
};

struct world {
    struct events_listener listener;
    int64_t delay;
    json_t *memory;
    bool away, stale;
    uint64_t available; /* of 100 */
    unsigned made;
    char arrived[1000];
    struct config_instance sink;
    const struct config_instance *sinks[1];
    struct config_job job;
    struct status_place place;
    struct status_sink status_sink;
    struct status_job status_job;
    struct status status;
};

static int64_t delay(void *context, const char *job, const char *sink)
{
    const struct world *w = context;
    assert_true(job ? strcmp(job, "nightly") == 0 : strcmp(sink, "nas") == 0);
    return w->delay;
}

static const struct {
    char letter;
    const char *json; /* members */
} records[] = {
    {'G', "'command':'run','status':'complete','snapshot_status':'complete','exit':0"},
    {'Y', "'command':'run','status':'complete','exit':0,'sinks':[{'name':'nas','committed':true,'warning':'in 59 d'}]"},
    {'y', "'command':'run','status':'complete','exit':0,'sinks':[{'name':'nas','committed':true,'warning':'in 58 d'}]"},
    {'z', "'command':'run','status':'complete','exit':0,'sinks':[{'name':'nas','committed':true,'warning':null}]"},
    {'Z', "'command':'run','status':'failed','exit':1,'sinks':[{'name':'nas','committed':false,'warning':null}]"},
    {'F', "'command':'run','status':'failed','exit':1,'class':'permanent','error':'no room: 12 of 99 left'"},
    {'f', "'command':'run','status':'failed','exit':1,'class':'permanent','error':'no room: 3 of 100 left'"},
    {'E', "'command':'run','status':'failed','exit':1,'class':'permanent','error':'no such database'"},
    {'N', "'command':'run','status':'failed','exit':11,'class':'busy','error':'another run is active'"},
    {'K', "'command':'run','status':'killed','exit':null"},
    {'I', "'command':'run','status':'incomplete','exit':3,'sources':[{'name':'a','error':'away'}]"},
    {'i', "'command':'run','status':'incomplete','exit':3,'sources':[{'name':'b','error':'away'}]"},
    {'S', "'command':'run','status':'incomplete','snapshot_status':'suspect','exit':3"},
    {'P', "'command':'run','status':'partial','snapshot_status':'partial','exit':0"},
    {'p', "'command':'run','status':'failed','asked':['a'],'exit':1,'error':'x'"},
    {'X', "'command':'run','status':'unheard of','exit':0"},
    {'V', "'command':'verify','status':'verified','exit':0,'quick':false"},
    {'Q', "'command':'verify','status':'verified','exit':0,'quick':true"},
    {'O', "'command':'verify','status':'verified','exit':0,'quick':false,'snapshot':'x'"},
    {'D', "'command':'verify','status':'damaged','exit':13,'quick':false"},
    {'R', "'command':'restore','status':'failed','exit':1,'error':'x'"},
    {'C', "'command':'copy','status':'complete','exit':0"},
    {'c', "'command':'copy','status':'failed','exit':1"},
    {'M', "'command':'prune','status':'done','exit':0,'sinks':[{'job':'nightly','sink':'nas','removed':2,'kept':1}]"},
    {'m', "'command':'prune','status':'done','exit':0,'sinks':[{'job':'nightly','sink':'nas','removed':0,'kept':3}]"},
    {'W',
     "'command':'run','status':'complete','exit':0,'sinks':[{'name':'nas','committed':true,'removed':2,'kept':1}]"},
    {'H', "'command':'prune','status':'incomplete','exit':3,'sinks':[{'sink':'nas','removed':0,'error':'held'}]"},
};

static void take_record(struct world *w, const char *members)
{
    char text[1000], when[CLOCK_TEXT_MAX];
    struct error e;
    clock_format_exact(w->listener.now, when);
    snprintf(text, sizeof text, "{'id':'r-%u','job':'nightly','sink':null,'started':'%s','ended':'%s',%s}", w->made++,
             when, when, members);
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *record = records_parse(text, strlen(text));
    assert_non_null(record);
    if (events_take_record(w->memory, &w->listener, record, &e) < 0)
        fail_msg("%s", e.message);
    json_decref(record);
}

static void deliver(struct world *w)
{
    const json_t *next;
    struct error e;
    while (!w->away && (next = events_next(w->memory, NULL))) {
        char name[40];
        snprintf(name, sizeof name, "%s", json_string_value(json_object_get(next, "event")));
        for (char *p = name; *p && json_is_true(json_object_get(next, "reminder")); p++)
            *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
        snprintf(w->arrived + strlen(w->arrived), sizeof w->arrived - strlen(w->arrived), "%s%s",
                 w->arrived[0] ? " " : "", name);
        assert_int_equal(events_told(w->memory, json_string_value(json_object_get(next, "id")), w->listener.now, &e),
                         0);
    }
}

static void take_status(struct world *w)
{
    struct error e;
    w->status.now = w->listener.now;
    w->status_sink.stale = w->stale;
    w->place.available = w->available;
    if (events_take_status(w->memory, &w->listener, &w->status, &e) < 0 ||
        events_settle(w->memory, &w->listener, &e) < 0)
        fail_msg("%s", e.message);
}

static void happen(struct world *w, char letter)
{
    switch (letter) {
    case '-':
        w->away = true;
        return;
    case '+':
        w->away = false;
        return;
    case 'L':
        w->delay = -1;
        break;
    case 'A':
    case 'a':
        w->stale = letter == 'A';
        break;
    case 'B':
    case 'b':
    case 'q':
        w->available = letter == 'B' ? 5 : letter == 'q' ? 21 : 50;
        break;
    }
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        if (records[i].letter == letter)
            take_record(w, records[i].json);
    take_status(w);
    deliver(w);
}

static void start(struct world *w, unsigned on, int remind, int wait)
{
    static char sink[] = "nas", job[] = "nightly";
    *w = (struct world){.delay = wait * HOUR, .memory = events_new(), .available = 50};
    w->listener = (struct events_listener){
        .on = on, .remind = remind * HOUR, .host = "web-1", .delay = delay, .context = w, .now = START};
    w->sink = (struct config_instance){.name = sink, .role = PLUGIN_SINK, .warn_space = 80};
    w->sinks[0] = &w->sink;
    w->job = (struct config_job){.name = job, .sinks = w->sinks, .sink_count = 1, .max_age = 3600000};
    w->place = (struct status_place){
        .sink = &w->sink, .measured = START, .space = 100, .full = INT64_MIN, .reached = INT64_MIN};
    w->status_sink = (struct status_sink){.sink = &w->sink, .place = &w->place, .good = START};
    w->status_job = (struct status_job){.job = &w->job, .sinks = &w->status_sink};
    w->status = (struct status){.jobs = &w->status_job, .job_count = 1, .places = &w->place, .place_count = 1};
    assert_non_null(w->memory);
    assert_true(events_valid(w->memory));
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        start(&w, cases[i].on, cases[i].remind, cases[i].delay);
        for (const char *p = cases[i].happens; *p; p += strcspn(p, " "), p += *p == ' ') {
            char letter = *p;
            if (p[1] >= '0' && p[1] <= '9')
                w.listener.now = START + atoi(p + 1) * HOUR;
            happen(&w, letter);
        }
        if (strcmp(w.arrived, cases[i].arrives) != 0)
            fail_msg("'%s': '%s' instead of '%s'", cases[i].happens, w.arrived, cases[i].arrives);
        json_decref(w.memory);
    }
}

/* What is in memory is all there is: written and read again after each step, nothing is different. */
static void test_memory_is_json(void **state)
{
    (void)state;
    struct world w;
    start(&w, ALL, 24, 0);
    w.away = true;
    for (const char *p = "FGEIASBKG"; *p; p++) {
        w.listener.now += HOUR;
        happen(&w, *p);
        char *text = json_dumps(w.memory, JSON_COMPACT);
        json_t *again = json_loads(text, 0, NULL);
        assert_true(json_equal(again, w.memory));
        json_decref(w.memory);
        w.memory = again;
        free(text);
    }
    w.away = false;
    deliver(&w);
    assert_string_equal(w.arrived,
                        "failure recovered success failure incomplete stale suspect space failure recovered success");
    json_decref(w.memory);
}

static void test_bounds(void **state)
{
    (void)state;
    struct world w;
    start(&w, ALL, 24, 0);
    w.away = true;
    for (int i = 0; i < EVENTS_QUEUE_MAX + 30; i++)
        happen(&w, 'G');
    assert_int_equal(json_array_size(json_object_get(w.memory, "queue")), EVENTS_QUEUE_MAX);
    assert_int_equal(json_integer_value(json_object_get(w.memory, "dropped")), 30);
    w.away = false;
    deliver(&w);
    assert_int_equal(json_integer_value(json_object_get(w.memory, "dropped")), 0);
    json_decref(w.memory);
}

/* A record of no usual size, and a text that is cut inside of a character. */
static void test_large(void **state)
{
    (void)state;
    struct world w;
    struct error e;
    char when[CLOCK_TEXT_MAX], error[90000] = "";
    start(&w, ALL, 24, 0);
    for (size_t n = 1; n + 3 < sizeof error; n += 3)
        memcpy(error + n, "\xe2\x82\xac", 4);
    error[0] = 'x';
    clock_format_exact(START, when);
    json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "id", "r", "job", "nightly", "command",
                               "run", "status", "failed", "exit", 1, "started", when, "ended", when, "error", error);
    assert_non_null(record);
    assert_int_equal(events_take_record(w.memory, &w.listener, record, &e), 0);
    const json_t *next = events_next(w.memory, NULL);
    char *text = json_dumps(next, JSON_COMPACT);
    assert_true(strlen(text) < EVENTS_JSON_MAX);
    assert_true(json_is_null(json_object_get(next, "record")));
    assert_in_range(json_string_length(json_object_get(next, "text")), EVENTS_TEXT_MAX / 2 - 3, EVENTS_TEXT_MAX / 2);
    free(text);
    json_decref(record);
    json_decref(w.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_memory_is_json),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests_name("job/events", tests, NULL, NULL);
}
