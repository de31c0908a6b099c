/* Records: what every attempt at a run, a restore, a verification, a prune, a gc or a copy leaves on this machine
 * (attempt/attempt.h writes them). Status, metrics, reports and whoever decides what is due read them, and nothing
 * else.
 *
 * The file `records` is in STATE/jobs/JOB, and in STATE/sinks/SINK for what has no job. It has one JSON object a line,
 * in the order in which the attempts ended. Each begins with "id", and ends with "previous": the SHA-256 of the line
 * before it, newline included, or null for the first that was ever written. So a line that was changed, or taken out,
 * shows; one that was cut off at the beginning, since it was old, leaves a first line whose "previous" nobody can
 * check. The manual page lists the members.
 */
#ifndef COFRE_ATTEMPT_RECORDS_H
#define COFRE_ATTEMPT_RECORDS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

struct config;
struct error;

#define RECORDS_LINE_MAX ((size_t)1 << 20)  /* bytes */
#define RECORDS_FILE_MAX ((size_t)64 << 20) /* bytes; beyond, the older half goes */
#define RECORDS_DAYS 731                    /* so long each is kept, */
#define RECORDS_LEAST 1000                  /* and so many are, whatever the clock says */

/* Where those of the job are (job NULL: those of the sink): a directory, which is not made, into out[PATH_MAX]. Room
 * for a file's name of 100 bytes is left. */
int records_directory(const struct config *config, const char *job, const char *sink, char *out, struct error *e);

/* Append the record, durably: "previous" is set here. The directory is there. A last line that a crash has left half
 * written is taken off before; old lines are cut off after. -1: the record is not there, and the others are. */
int records_append(const char *directory, json_t *record, struct error *e);

/* Oldest first. Zeroed = nothing is read. */
struct records_reader {
    FILE *file; /* NULL: there are none */
    char *line; /* with its newline */
    size_t capacity, length;
    size_t number; /* of the line, from 1 */
    char path[PATH_MAX];
};
int records_open(const char *directory, struct records_reader *reader, struct error *e);
/* 1: reader->line is the next; 0: there is none. A line without end is none: it is still being written, or never was.
 */
int records_next(struct records_reader *reader, struct error *e);
void records_close(struct records_reader *reader);

/* Newest first, and no more of the file than is asked for. visit: false ends it; the line, without its newline, is
 * lent. None there: 0. */
int records_back(const char *directory, bool (*visit)(void *context, const char *line, size_t length), void *context,
                 struct error *e);

/* The object of a line; NULL when it is none. */
json_t *records_parse(const char *line, size_t length);
/* Members of it; what is not there, or is of another type: NULL, 0, INT64_MIN. */
const char *records_text(const json_t *record, const char *member);
int64_t records_number(const json_t *record, const char *member);
int64_t records_time(const json_t *record, const char *member); /* ns */

bool records_is(const json_t *record, const char *member, const char *word);
/* The row of that name in a list of it ("sources", "sinks"); NULL = there is none. */
const json_t *records_row(const json_t *record, const char *list, const char *name);
/* What went wrong: its own error, or the first of a source or a sink, or why a source is suspect; NULL = nothing is
 * said.
 */
const char *records_why(const json_t *record);

/* The snapshot that it says was accepted, in a sink at least; NULL = it says nothing of the kind. */
const char *records_accepted(const json_t *record);

/* Is the chain whole? flaw is called for each place where it is not, in words. *count: lines. cut: older ones were cut
 * off. */
struct records_chain {
    size_t count, flaws;
    bool cut;
};
int records_check(const char *directory, void (*flaw)(void *context, size_t line, const char *what), void *context,
                  struct records_chain *chain, struct error *e);

#endif
