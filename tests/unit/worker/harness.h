/* Workers for tests: started with options given as "key=value", in a process of their own or in this one. */
#ifndef TESTS_UNIT_WORKER_HARNESS_H
#define TESTS_UNIT_WORKER_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "config/option.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define SECRET "hunter2-and-more"

/* Set by main from the arguments: all workers run as threads. */
extern bool harness_in_process;

struct harness_times {
    int64_t timeout, stall, grace;
};

int harness_start(const char *plugin, struct worker **w, struct error *e);
/* From its next call on; so that what must work has all the time that a busy machine needs. */
void harness_hurry(struct worker *w, struct harness_times times);
/* options: "key=value;key=value". */
int harness_open(struct worker *w, const char *options, struct error *e);
/* Both; the test fails when they do. */
struct worker *harness_worker(const char *plugin, const char *options);
struct worker *harness_timed(const char *plugin, const char *options, struct harness_times times);

/* A sink of that one connection; takes it over. */
struct sink *harness_sink_of(struct worker *w);
struct sink *harness_sink(const char *plugin, const char *options);

/* The log since the last call. */
const char *harness_log(void);

/* main of every test program. */
int harness_main(int argc, char **argv, int (*tests)(void));

#endif
