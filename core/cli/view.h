/* Views: what more than one command shows of snapshots, as text and as JSON. */
#ifndef COFRE_CLI_VIEW_H
#define COFRE_CLI_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct manifest;
struct manifest_source;
struct output;
struct snapshot;
struct snapshot_proof;
struct snapshot_said;

/* "complete", "incomplete", "missing". */
const char *view_status(int status);

/* The same of a whole snapshot; where all is complete that was asked for, "partial" when that was not the whole job,
 * and else "suspect" unless somebody has accepted it. said: NULL = nothing. */
const char *view_state(const struct manifest *manifest, const struct snapshot_said *said);

/* The members of a snapshot object. sinks: names; taken. said: NULL = nothing. */
json_t *view_manifest(struct output *out, const struct manifest *manifest, json_t *sinks,
                      const struct snapshot_said *said);
/* When all of it was read, or it was restored, ns; 0 = nobody has said so of this manifest. */
int64_t view_proof(const struct manifest *manifest, const struct snapshot_proof *proof);
/* The same of one that may not have been read: then its status is that of view_unread, and there are no sources. */
json_t *view_snapshot(struct output *out, const struct snapshot *snapshot);
/* "sealed", "unreadable". */
const char *view_unread(const struct snapshot *snapshot);

uint64_t view_bytes(const struct manifest *manifest);
uint64_t view_entries(const struct manifest *manifest);

/* "file", "directory", ...: of COFRE_FILE, ... */
const char *view_kind(uint32_t kind);

/* "1,234,567" into out[VIEW_COUNT_MAX]. */
const char *view_count(uint64_t number, char *out);
#define VIEW_COUNT_MAX 32

/* Append text to the list in out, with ", " between; cut at the end of out. */
void view_join(char *out, size_t size, const char *text);

#endif
