/* Bad habits that a source and a sink can have alike. A test says which, and in which call. */
#ifndef TESTS_PLUGINS_HABITS_H
#define TESTS_PLUGINS_HABITS_H

#include <cofre/plugin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline void habits_sleep(void)
{
    nanosleep(&(struct timespec){.tv_sec = 0, .tv_nsec = 5000000}, NULL);
}

static inline int32_t habits_hang(struct cofre_call *call, struct cofre_error *error)
{
    int32_t result;
    while ((result = cofre->cancelled(call, error)) == COFRE_OK)
        habits_sleep();
    return result;
}

static inline void habits_flood(struct cofre_call *call)
{
    char line[64];
    for (int i = 0; i < 20000; i++) {
        snprintf(line, sizeof line, "line %d", i);
        cofre->log(call, COFRE_LOG_WARNING, line);
    }
}

static inline int32_t habits_allocate(struct cofre_error *error)
{
    for (;;) {
        char *p = malloc(1 << 20);
        if (!p)
            return cofre_fail(error, COFRE_E_MEMORY, "allocate: out of memory");
        memset(p, 1, 1 << 20);
    }
}

/* Looks for what is none of its business: the engine's environment and descriptors. */
static inline int32_t habits_look(struct cofre_error *error)
{
    if (getenv("COFRE_TEST_SECRET"))
        return cofre_fail(error, COFRE_E_PERMANENT, "saw the engine's environment");
    for (int fd = 5; fd < 300; fd++) {
        char name[32], target[64] = "";
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(name, target, sizeof target - 1);
        /* Open are the plugin's own file, and what the host made since. */
        if (n > 0 && strncmp(target, "/tmp/cofre-look", 15) == 0)
            return cofre_fail(error, COFRE_E_PERMANENT, "saw the engine's descriptor %d", fd);
    }
    return COFRE_OK;
}

/* What the habit does. COFRE_OK = goes on as if nothing was. */
static inline int32_t habits_perform(const char *habit, struct cofre_call *call, const struct cofre_secret *secret,
                                     struct cofre_error *error)
{
    char text[256];
    uint64_t length;
    const struct cofre_entry *entry;
    const void *bytes;
    if (strcmp(habit, "crash") == 0)
        raise(SIGSEGV);
    if (strcmp(habit, "abort") == 0)
        abort();
    if (strcmp(habit, "exit") == 0)
        _exit(0);
    if (strcmp(habit, "hang") == 0)
        return habits_hang(call, error);
    if (strcmp(habit, "pause") == 0)
        return cofre->pause(call, 3600000, error);
    if (strcmp(habit, "nap") == 0)
        return cofre->pause(call, 50, error);
    if (strcmp(habit, "hang_stubborn") == 0)
        signal(SIGTERM, SIG_IGN);
    if (strncmp(habit, "hang_", 5) == 0)
        for (;;)
            habits_sleep();
    if (strcmp(habit, "flood") == 0)
        habits_flood(call);
    if (strcmp(habit, "allocate") == 0)
        return habits_allocate(error);
    if (strcmp(habit, "write") == 0 && (printf("hello\n") < 0 || fflush(stdout) != 0 || write(2, "there\n", 6) != 6))
        return cofre_fail(error, COFRE_E_PERMANENT, "write: failed");
    if (strcmp(habit, "fail") == 0)
        return cofre_fail(error, COFRE_E_NO_SPACE, "write 'thing': no space left");
    if (strcmp(habit, "silent") == 0)
        return COFRE_E_DENIED;
    if (strcmp(habit, "odd_class") == 0)
        return cofre_fail(error, 4711, "something odd");
    if (strcmp(habit, "return_end") == 0)
        return COFRE_END;
    if (strcmp(habit, "return_unchanged") == 0)
        return COFRE_UNCHANGED;
    if (strcmp(habit, "return_negative") == 0)
        return -1;
    if (strcmp(habit, "null_log") == 0)
        cofre->log(call, COFRE_LOG_WARNING, NULL);
    if (strcmp(habit, "odd_log") == 0)
        cofre->log(call, 99, "at a level that there is not");
    if (strcmp(habit, "misconfigured") == 0)
        return cofre_fail(error, COFRE_E_CONFIG, "option 'habit': 'misconfigured' is no good");
    if (strcmp(habit, "busy") == 0)
        return cofre_fail(error, COFRE_E_BUSY, "lock 'thing': somebody else has it");
    if (strcmp(habit, "integrity") == 0)
        return cofre_fail(error, COFRE_E_INTEGRITY, "read 'thing': its checksum is wrong");
    if (strcmp(habit, "retry") == 0)
        return cofre_fail(error, COFRE_E_RETRY, "connection reset");
    if (strcmp(habit, "tell_secret") == 0) {
        snprintf(text, sizeof text, "password is %.*s", (int)secret->length, (const char *)secret->bytes);
        cofre->log(call, COFRE_LOG_WARNING, text);
        if (write(2, text, strlen(text)) < 0 || write(2, "\n", 1) < 0)
            return COFRE_E_PERMANENT;
        return cofre_fail(error, COFRE_E_AUTH, "log in with '%.*s': refused", (int)secret->length,
                          (const char *)secret->bytes);
    }
    if (strcmp(habit, "wrong_service") == 0) {
        cofre->next(call, &entry, error);
        cofre->take(call, &bytes, &length, error);
        cofre->fact(call, "a", "b", 0, error);
        return COFRE_OK;
    }
    if (strcmp(habit, "misplaced_finding") == 0)
        cofre->finding(call, COFRE_LOG_INFO, "something", NULL);
    if (strcmp(habit, "misplaced_offer") == 0)
        return cofre->offer(call, &(struct cofre_offer){.struct_size = sizeof(struct cofre_offer)}, error);
    if (strcmp(habit, "misplaced_configured") == 0) {
        const struct cofre_section *section;
        return cofre->configured(call, 0, &section, error);
    }
    if (strcmp(habit, "look") == 0)
        return habits_look(error);
    if (strcmp(habit, "progress") == 0)
        for (int i = 0; i < 100; i++) {
            cofre->progress(call, (uint64_t)i, 100);
            habits_sleep();
        }
    return COFRE_OK;
}

#endif
