/* Each place that asks for memory, or the kernel for something, fails once; and each call of a sink. What failed says
 * why and leaves nothing open, and the next try works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define PATIENCE 1000 /* s; for one trial on a machine that has other work */
#define MANY_FILES 4096
#define CALLERS 2 /* that make a place, unless --callers says how many */
/* With sanitizers a try takes ten times as long and more, and one of so many places fails; all do in the run that counts lines,
 * and in the long one. */
#ifdef COFRE_SANITIZED
#define ONE_OF 24
#else
#define ONE_OF 1
#endif
#define FRESH 30 /* tries in one world: each adds a snapshot */

int cofre_main(int argc, char **argv);

struct trial {
    struct world_command command;
    bool bare;                          /* each try is the first command in its world */
    const struct world_command *before; /* must work before each try */
    const char *from, *to;              /* sinks that it uses */
};

static const struct world_command run_job = {{"run", "job"}}, run_weekly = {{"run", "weekly"}},
                                  pin_job = {{"pin", "job"}};
static const struct trial trials[] = {
    {.command = {{"run", "job"}}, .from = "disk"},
    {.command = {{"run", "weekly"}}, .from = "usb"},
    {.command = {{"init", "disk"}}, .bare = true, .from = "disk"},
    {.command = {{"init", "usb"}}, .bare = true, .from = "usb"},
    {.command = {{"restore", "job", "--into", "NEW"}}, .from = "disk"},
    {.command = {{"restore", "weekly", "--into", "NEW"}}, .from = "usb"},
    {.command = {{"restore", "job", "tree:b", "--into", "NEW", "--json"}}, .from = "disk"},
    {.command = {{"restore", "weekly", "tree:b", "--into", "NEW"}}, .from = "usb"},
    {.command = {{"copy", "job", "--from", "disk", "--to", "second"}},
     .before = &run_job,
     .from = "disk",
     .to = "second"},
    {.command = {{"copy", "weekly", "--from", "usb", "--to", "spare"}},
     .before = &run_weekly,
     .from = "usb",
     .to = "spare"},
    {.command = {{"list"}}, .from = "disk"},
    {.command = {{"list", "--json"}}},
    {.command = {{"show", "job"}}, .from = "disk"},
    {.command = {{"show", "weekly", "--json"}}, .from = "usb"},
    {.command = {{"ls", "job", "tree"}}, .from = "disk"},
    {.command = {{"ls", "weekly", "tree:a", "--json"}}, .from = "usb"},
    {.command = {{"cat", "job", "tree:a/large"}}, .from = "disk"},
    {.command = {{"cat", "weekly", "tree:b/linked"}}, .from = "usb"},
    {.command = {{"verify", "job", "--all"}}, .from = "disk"},
    {.command = {{"verify", "weekly"}}, .from = "usb"},
    {.command = {{"verify", "--json"}}},
    {.command = {{"prune", "job", "--yes"}}, .before = &run_job, .from = "disk"},
    {.command = {{"prune", "weekly", "--yes", "--json"}}, .before = &run_weekly, .from = "usb"},
    {.command = {{"gc", "disk"}}, .from = "disk"},
    {.command = {{"gc", "usb", "--json"}}, .from = "usb"},
    {.command = {{"pin", "job"}}, .from = "disk"},
    {.command = {{"unpin", "job"}}, .before = &pin_job, .from = "disk"},
    {.command = {{"find", "large"}}, .from = "disk"},
    {.command = {{"find", "l*", "weekly", "--json"}}, .from = "usb"},
    {.command = {{"diff", "job@latest~1", "job"}}, .before = &run_job, .from = "disk"},
    {.command = {{"diff", "weekly@latest~1", "weekly", "--json"}}, .before = &run_weekly, .from = "usb"},
    {.command = {{"status"}}},
    {.command = {{"status", "--json"}}},
    {.command = {{"status", "--prometheus"}}},
    {.command = {{"report"}}},
    {.command = {{"report", "--json"}}},
    {.command = {{"report", "--html", "NEW"}}},
    {.command = {{"log", "--json"}}},
    {.command = {{"log", "--check"}}},
    {.command = {{"due"}}},
    {.command = {{"due", "--dry-run", "--json"}}},
    {.command = {{"check"}}},
    {.command = {{"check", "--json"}}},
    {.command = {{"check", "--offline"}}},
    {.command = {{"discover"}}},
    {.command = {{"accept", "job"}}},
    {.command = {{"key", "show", "WORLD/key"}}},
    {.command = {{"key", "accept", "disk", "testhost"}}, .from = "disk"},
    {.command = {{"key", "create", "NEW"}}},
    {.command = {{"key", "put", "WORLD/key", "NEW", "--host", "web"}}},
    {.command = {{"key", "prune", "WORLD/key", "NEW"}}},
    {.command = {{"plugin", "list"}}},
    {.command = {{"plugin", "list", "--json"}}},
    {.command = {{"plugin", "describe", "directory"}}},
    {.command = {{"plugin", "describe", "directory", "--json"}}},
    {.command = {{"version", "--json"}}},
};
#define TRIALS (sizeof trials / sizeof trials[0])

/* ---- trials ---- */

/* What is saved, and where it is given back to, differs from try to try. */
static void renew(void)
{
    static int seed;
    world_seed(++seed);
}

/* In a new world from time to time. */
static void prepare(const struct trial *t)
{
    static int tries;
    if (t->bare || tries++ % FRESH == 0)
        world_next(t->bare);
    renew();
    if (t->before)
        world_must(t->before);
}

/* In a process of its own, since plugins stay loaded, with a descriptor each, and what hangs must end. */
static void apart(void (*sweep)(const struct trial *t, int detail), const struct trial *t, int detail)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    int status;
    fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit many = {MANY_FILES, MANY_FILES};
        setrlimit(RLIMIT_NOFILE, &many);
        /* Not cmocka's handlers, which would go on with the next test. */
        for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
            signal(crashes[i], SIG_DFL);
        alarm(PATIENCE);
        sweep(t, detail);
        exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s: the trial ended with %#x", t->command.words[0], (unsigned)status);
}

/* ---- places ---- */

/* A configuration that cannot be read is one that cannot be used; and what the cache of the index says is looked at as
 * what was stored. */
static bool may_be(int status, const char *text)
{
    return status == 78 || (status == 13 && strstr(text, "index cache '"));
}

static const char *fault(enum places_kind kind, int status, int open_before)
{
    const char *text = world_said();
    if (status != 0 && status != 1 && status != 3 && (kind != PLACES_CALLS || !may_be(status, text)))
        return "another status";
    if (status != 0 && kind == PLACES_INTERRUPTED)
        return "an interrupted call is made again";
    if (status != 0 && !text[0])
        return "without a word";
    if (strstr(text, "internal error") || strstr(text, "bug"))
        return "a mistake of ours";
    return !strstr(text, "it is left behind") && world_stays_open(open_before) ? "a descriptor stays open" : NULL;
}

/* Tries until nothing is left that has not failed yet. */
static void sweep_kind(const struct trial *t, enum places_kind kind)
{
    char place[400];
    for (;;) {
        prepare(t);
        int open_before = world_open_count();
        int status = world_run(&t->command, kind);
        if (!places_disarm(place, sizeof place))
            break;
        const char *why = fault(kind, status, open_before);
        if (why)
            world_give_up(&t->command, place, why, status);
    }
    prepare(t);
    world_must(&t->command);
}

static void sweep_places(const struct trial *t, int unused)
{
    (void)unused;
    for (enum places_kind kind = PLACES_MEMORY; kind <= PLACES_INTERRUPTED; kind++)
        sweep_kind(t, kind);
}

static void test_places(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TRIALS; i++)
        apart(sweep_places, &trials[i], 0);
    print_message("%zu places, of which one of %d failed\n", places_count(), ONE_OF);
}

/* ---- sinks ---- */

static const char *const calls[MEMORY_CALLS] = {"open", "put", "get", "stat", "list", "remove", "sync"};

/* What fails is said, with the sink that it is of, or was of no consequence. */
static void judge_sink(const struct trial *t, const char *sink, enum memory_call call, int status)
{
    char subject[64];
    const char *text = world_said(), *why = NULL;
    snprintf(subject, sizeof subject, "sink '%s'", sink);
    bool damage = status == 13 && strcmp(t->command.words[0], "verify") == 0; /* what cannot be read is not whole */
    if (status != 0 && status != 1 && status != 3 && !damage)
        why = "another status";
    else if (status != 0 && !damage && (!strstr(text, subject) || !strstr(text, "the test wants it to fail")))
        why = "not said which sink, and why";
    if (why)
        world_give_up(&t->command, calls[call], why, status);
}

/* Each call of that kind fails, one in each try, until it makes no more. */
static void sweep_calls(const struct trial *t, enum memory_call call, bool to)
{
    const char *sink = to ? t->to : t->from;
    for (int number = 1;; number++) {
        prepare(t);
        int before = t->bare ? 0 : world_calls(sink, call);
        world_fail(to, calls[call], before + number);
        int status = world_run(&t->command, PLACES_NONE);
        world_fail(to, NULL, 1);
        if (world_calls(sink, call) < before + number)
            return;
        judge_sink(t, sink, call, status);
        renew();
        world_must(&t->command);
    }
}

static void sweep_sink(const struct trial *t, int to)
{
    for (int call = 0; call < MEMORY_CALLS; call++)
        sweep_calls(t, (enum memory_call)call, to);
}

static void test_sinks(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TRIALS; i++) {
        if (trials[i].from)
            apart(sweep_sink, &trials[i], false);
        if (trials[i].to)
            apart(sweep_sink, &trials[i], true);
    }
}

/* ---- what cannot be done ---- */

static const struct {
    struct world_command command;
    int status;
    const char *said;
} refused[] = {
    {{{"copy", "job", "--from", "disk", "--to", "disk"}}, 2, "--from and --to are the same sink 'disk'"},
    {{{"copy", "job", "--from", "disk", "--to", "disc"}}, 2, "did you mean 'disk'?"},
    {{{"copy", "job", "--from", "disk", "--to", "usb"}}, 1, "usb"},
    {{{"key", "made"}}, 2, "there are create, put, prune, show, recover, accept and revoke"},
    {{{"key", "creat", "x"}}, 2, "did you mean cofre key create?"},
    {{{"key", "put", "x"}}, 2, "usage: cofre key put"},
    {{{"key", "show", "WORLD/none"}}, 1, "WORLD/none"},
    {{{"verify", "job@latest", "--all"}}, 2, "it does not go with '@ID'"},
    {{{"verify", "job", "--sink", "none"}}, 2, "none"},
    {{{"restore", "job", "--into", ""}}, 2, "--into names no directory"},
    {{{"restore", "job", "none", "--into", "NEW"}}, 2, "none"},
    {{{"cat", "job", "tree:a"}}, 2, "'a' is a directory"},
    {{{"ls", "job", "tree:none"}}, 1, "none"},
    {{{"show", "job@1999"}}, 1, "1999"},
};

static void test_refused(void **unused)
{
    (void)unused;
    world_next(false);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        int open_before = world_open_count(), status = world_run(&refused[i].command, PLACES_NONE);
        const char *text = refused[i].said, *name = strncmp(text, "WORLD", 5) == 0 ? text + 5 : text;
        if (status != refused[i].status || !strstr(world_said(), name) || world_stays_open(open_before))
            fail_msg("%s %s: status %d\n%s", refused[i].command.words[0], refused[i].command.words[1], status,
                     world_said());
    }
}

int main(int argc, char **argv)
{
    bool said = argc == 3 && strcmp(argv[1], "--callers") == 0;
    if (argc > 1 && !said)
        return cofre_main(argc, argv); /* the watchdog, say */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_sinks),
    };
    places_begin(said ? atoi(argv[2]) : CALLERS, said ? 1 : ONE_OF);
    return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
