/* The whole program in this process, with its plugins as threads, over sinks in memory.
 *
 * A world is a place of its own for all that the program keeps: state, cache, key, and what its sinks hold. There are
 * the sources "tree" and "made", the repositories "disk" and "second", the archives "usb" and "spare", and the jobs
 * "job", to disk, and "weekly", to usb. Whatever is not as it must be ends the process, with a line that says so. */
#ifndef TESTS_UNIT_CLI_WORLD_H
#define TESTS_UNIT_CLI_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "../../plugins/memory-sink.h"
#include "places.h"

#define WORLD_WORDS 8

/* A command. WORLD at the beginning of a word is the directory of its world, NEW a name there that is not taken. */
struct world_command {
    const char *words[WORLD_WORDS];
};

/* For cmocka. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* Another world: with a snapshot in disk and in usb, or, when bare, with nothing in it. */
void world_next(bool bare);
/* What is made up for the source "made", and NEW, depend on it. */
void world_seed(int seed);
/* One call of disk and usb (or, when to, of second and spare) fails: the number-th from now on; NULL = none. */
void world_fail(bool to, const char *call, int number);
/* So many calls of that kind were made of the sink of this world. */
int world_calls(const char *sink, enum memory_call call);

/* The status. kind: what is to fail in it, until places_disarm. */
int world_run(const struct world_command *command, enum places_kind kind);
/* What the last command said on standard error. */
const char *world_said(void);
/* Run it, and it must work. */
void world_must(const struct world_command *command);
/* The descriptors that are open, without those of plugins, which stay loaded; is one more open than before? What was
 * left behind by an earlier command may still be ending. */
int world_open_count(void);
bool world_stays_open(int before);
/* It was not as it must be: ends the process. place: what failed. */
_Noreturn void world_give_up(const struct world_command *command, const char *place, const char *why, int status);

#endif
