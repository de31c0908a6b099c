#include "world.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* main() of the program. */
int cofre_main(int argc, char **argv);

static struct {
    char directory[64];
    int said;     /* what goes to standard error */
    int output;   /* and to standard output */
    int terminal; /* the test's own standard error */
} world;

static const char config[] = "[engine]\n"
                             "state_dir = ${WORLD}/state\n"
                             "cache_dir = ${WORLD}/cache\n"
                             "host = testhost\n"
                             "log = file:${WORLD}/log\n"
                             "plugin_dir = ${PLUGINS}\n"
                             "[source tree]\n"
                             "plugin = directory\n"
                             "path = ${TREE}\n"
                             "retry_for = 0\n"
                             "[source made]\n"
                             "plugin = memory-source\n"
                             "streams = dump\n"
                             "size = 300KiB\n"
                             "seed = ${SEED}\n"
                             "left_out = closed\n"
                             "counted = yes\n"
                             "retry_for = 0\n"
                             "[sink disk]\n"
                             "plugin = memory-sink\n"
                             "fail = ${FAIL:-}\n"
                             "fail_at = ${FAIL_AT:-1}\n"
                             "fail_times = 1\n"
                             "place = ${WORLD}/disk\n"
                             "key = ${WORLD}/key\n"
                             "[sink second]\n"
                             "plugin = memory-sink\n"
                             "fail = ${FAIL_TO:-}\n"
                             "fail_at = ${FAIL_AT:-1}\n"
                             "fail_times = 1\n"
                             "place = ${WORLD}/second\n"
                             "key = ${WORLD}/key\n"
                             "[sink usb]\n"
                             "plugin = memory-sink\n"
                             "fail = ${FAIL:-}\n"
                             "fail_at = ${FAIL_AT:-1}\n"
                             "fail_times = 1\n"
                             "place = ${WORLD}/usb\n"
                             "format = archive\n"
                             "encryption = none\n"
                             "[sink spare]\n"
                             "plugin = memory-sink\n"
                             "fail = ${FAIL_TO:-}\n"
                             "fail_at = ${FAIL_AT:-1}\n"
                             "fail_times = 1\n"
                             "place = ${WORLD}/spare\n"
                             "format = archive\n"
                             "compress = gzip\n"
                             "encryption = none\n"
                             "[job job]\n"
                             "sources = tree, made\n"
                             "sinks = disk\n"
                             "keep_last = 2\n"
                             "keep_min = 1\n"
                             "prune = manual\n"
                             "[job weekly]\n"
                             "sources = tree, made\n"
                             "sinks = usb\n"
                             "keep_last = 2\n"
                             "keep_min = 1\n"
                             "prune = manual\n";

/* Not cmocka's asserts, which would go on with the next test in a child. */
#define need(condition) ((condition) ? (void)0 : unmet(#condition, __LINE__))

static void unmet(const char *condition, int line)
{
    dprintf(world.terminal, "line %d: %s: %s\n", line, condition, strerror(errno));
    exit(1);
}

_Noreturn void world_give_up(const struct world_command *command, const char *place, const char *why, int status)
{
    for (size_t i = 0; i < WORLD_WORDS && command->words[i]; i++)
        dprintf(world.terminal, "%s ", command->words[i]);
    dprintf(world.terminal, "when %s fails: %s: status %d\n%s\n", place, why, status, world_said());
    exit(1);
}

/* ---- the program ---- */

static int redirect(int to, int from)
{
    int kept = fcntl(to, F_DUPFD_CLOEXEC, 10);
    need(kept >= 0 && dup2(from, to) == to);
    return kept;
}

static void put_back(int to, int kept)
{
    need(dup2(kept, to) == to);
    close(kept);
}

static void expand(const char *word, char *out, size_t n)
{
    if (strncmp(word, "WORLD", 5) == 0)
        snprintf(out, n, "%s%s", getenv("WORLD"), word + 5);
    else if (strcmp(word, "NEW") == 0)
        snprintf(out, n, "%s/new-%s", getenv("WORLD"), getenv("SEED"));
    else
        snprintf(out, n, "%s", word);
}

int world_run(const struct world_command *command, enum places_kind kind)
{
    char options[3][64] = {"cofre", "--in-process", "--config-dir"}, directory[96], words[WORLD_WORDS][128], place[1];
    char *arguments[WORLD_WORDS + 5] = {options[0], options[1], options[2], directory};
    int count = 4;
    snprintf(directory, sizeof directory, "%s/conf.d", world.directory);
    for (size_t i = 0; i < WORLD_WORDS && command->words[i]; i++) {
        expand(command->words[i], words[i], sizeof words[i]);
        arguments[count++] = words[i];
    }
    fflush(stdout);
    need(ftruncate(world.said, 0) == 0 && lseek(world.said, 0, SEEK_SET) == 0);
    int output = redirect(STDOUT_FILENO, world.output), said = redirect(STDERR_FILENO, world.said);
    places_arm(kind);
    int status = cofre_main(count, arguments);
    if (kind == PLACES_NONE)
        places_disarm(place, sizeof place);
    fflush(stdout);
    clearerr(stdout);
    put_back(STDOUT_FILENO, output);
    put_back(STDERR_FILENO, said);
    return status;
}

const char *world_said(void)
{
    static char text[1 << 16];
    ssize_t n = pread(world.said, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

void world_must(const struct world_command *command)
{
    int status = world_run(command, PLACES_NONE);
    if (status != 0)
        world_give_up(command, "nothing", "it must work", status);
}

int world_open_count(void)
{
    char target[4096];
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    need(d);
    for (const struct dirent *row = readdir(d); row; row = readdir(d)) {
        ssize_t length = readlinkat(dirfd(d), row->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        n += !strstr(target, ".so");
    }
    closedir(d);
    return n;
}

bool world_stays_open(int before)
{
    for (int tries = 0; world_open_count() > before; tries++) {
        if (tries == 100)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return false;
}

/* ---- worlds ---- */

static void set_number(const char *name, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    setenv(name, text, 1);
}

void world_next(bool bare)
{
    static const struct world_command commands[] = {{{"init", "disk"}},  {{"init", "second"}}, {{"init", "usb"}},
                                                    {{"init", "spare"}}, {{"run", "job"}},     {{"run", "weekly"}}};
    char path[128];
    snprintf(path, sizeof path, "%s/XXXXXX", world.directory);
    need(mkdtemp(path));
    setenv("WORLD", path, 1);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0] && !bare; i++)
        world_must(&commands[i]);
}

void world_seed(int seed)
{
    set_number("SEED", seed);
}

int world_calls(const char *sink, enum memory_call call)
{
    /* The same object that the workers have loaded, since it is the same file. */
    static memory_sink_counts_function *ask;
    struct memory_counts counts;
    char place[160];
    if (!ask) {
        void *plugin = dlopen(TEST_PLUGINS "/memory-sink.so", RTLD_NOW | RTLD_LOCAL);
        need(plugin);
        *(void **)&ask = dlsym(plugin, "memory_sink_counts");
        need(ask);
    }
    snprintf(place, sizeof place, "%s/%s", getenv("WORLD"), sink);
    ask(place, &counts);
    return counts.calls[call];
}

void world_fail(bool to, const char *call, int number)
{
    setenv("FAIL", call && !to ? call : "", 1);
    setenv("FAIL_TO", call && to ? call : "", 1);
    set_number("FAIL_AT", number);
}

static void write_file(const char *name, const char *text, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", world.directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    need(fd >= 0 && write(fd, text, n) == (ssize_t)n && close(fd) == 0);
}

static void make_directory(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", world.directory, name);
    need(mkdir(path, 0700) == 0);
}

static void make_tree(void)
{
    static char content[70000];
    char from[128], to[128];
    make_directory("tree");
    make_directory("tree/a");
    make_directory("tree/b");
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * 2654435761u >> 13);
    write_file("tree/a/large", content, sizeof content);
    write_file("tree/a/small", content, 100);
    write_file("tree/empty", content, 0);
    write_file("tree/holes", content, sizeof content);
    snprintf(to, sizeof to, "%s/tree/holes", world.directory);
    need(truncate(to, 1 << 20) == 0);
    snprintf(from, sizeof from, "%s/tree/a/small", world.directory);
    snprintf(to, sizeof to, "%s/tree/b/linked", world.directory);
    need(link(from, to) == 0);
    snprintf(to, sizeof to, "%s/tree/symlink", world.directory);
    need(symlink("a/small", to) == 0);
    snprintf(to, sizeof to, "%s/tree", world.directory);
    setenv("TREE", to, 1);
}

/* No others: some of them are bad on purpose. */
static void choose_plugins(void)
{
    static const char *const chosen[] = {PLUGINS "/directory.so", TEST_PLUGINS "/memory-sink.so",
                                         TEST_PLUGINS "/memory-source.so"};
    char path[128];
    make_directory("plugins");
    for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++) {
        snprintf(path, sizeof path, "%s/plugins%s", world.directory, strrchr(chosen[i], '/'));
        need(symlink(chosen[i], path) == 0);
    }
    *strrchr(path, '/') = '\0';
    setenv("PLUGINS", path, 1);
}

int world_set_up(void **state)
{
    (void)state;
    strcpy(world.directory, "/tmp/cofre-places-XXXXXX");
    need(mkdtemp(world.directory));
    world.said = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    world.output = open("/dev/null", O_WRONLY | O_CLOEXEC);
    world.terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    need(world.said >= 0 && world.output >= 0 && world.terminal >= 0);
    make_directory("conf.d");
    write_file("conf.d/all.conf", config, sizeof config - 1);
    make_tree();
    choose_plugins();
    world_seed(1);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int world_tear_down(void **state)
{
    (void)state;
    close(world.said);
    close(world.output);
    close(world.terminal);
    return nftw(world.directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
