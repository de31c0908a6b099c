/* The wire: what the frames of a channel say. Private, and may change with every build: both ends are of one build,
 * which the greeting proves.
 *
 * Decoders are given bytes that a plugin may have made: they check every bound, and give false for whatever is not as
 * it should be. Text on the wire is u32 length, bytes, NUL; optional text has u32 WIRE_NONE and nothing else.
 */
#ifndef COFRE_WIRE_WIRE_H
#define COFRE_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cursor.h"

struct config_value;
struct error;
struct snapshot_attribute;
struct snapshot_entry;
struct plugin_info;

#define WIRE_NONE UINT32_MAX
#define WIRE_MAX_ATTRIBUTES 4096
#define WIRE_MAX_NAME 255    /* of users, groups, attributes, facts */
#define WIRE_MAX_VALUE 65536 /* of attributes, facts */
#define WIRE_MAX_CURSOR 1024
#define WIRE_MAX_LOG 3000
#define WIRE_MAX_LEFTOVER 1000
#define WIRE_MAX_EVENT 65536 /* of each text of an event */
#define WIRE_MAX_OPTIONS 256
#define WIRE_MAX_KEYS 1000 /* of one remove_many */

/* Messages on the socket. */
enum { WIRE_CANCEL = 1, WIRE_PREVIOUS = 2, WIRE_EXEC_FAILED = 3, WIRE_READY = 4 };

enum wire_call {
    WIRE_LOAD = 1,
    WIRE_OPEN,
    WIRE_CLOSE,
    WIRE_CHECK,
    WIRE_BACKUP,
    WIRE_RESTORE,
    WIRE_FREEZE,
    WIRE_THAW,
    WIRE_ESTIMATE,
    WIRE_SCRATCH_MAKE,
    WIRE_SCRATCH_DROP,
    WIRE_FACTS,
    WIRE_DISCOVER,
    WIRE_SERVICES,
    WIRE_CREATE,
    WIRE_PUT,
    WIRE_GET,
    WIRE_STAT,
    WIRE_LIST,
    WIRE_REMOVE,
    WIRE_SYNC,
    WIRE_SWEEP,
    WIRE_SPACE,
    WIRE_RETAIN,
    WIRE_REMOVE_MANY,
    WIRE_NOTIFY,
    WIRE_CALLS
};
/* "backup", "put", ...: for messages. */
const char *wire_call_name(uint32_t call);

enum wire_frame {
    /* to the worker */
    WIRE_CALL = 1, /* u32 call, u32 number, u64 time left in ms (0 = no limit), then the call's arguments */
    WIRE_LAST,     /* no more entries (restore); end of the object (put) */
    WIRE_SECTION,  /* check, discover: u32 in a job, name, plugin, u32 settings, and for each its name and value */
    /* both ways */
    WIRE_DATA, /* content */
    WIRE_HOLE, /* u64 length */
    WIRE_ENTRY,
    WIRE_END, /* to the engine: u64 content length, error; to the worker: nothing, or the error why it is not whole */
    /* to the engine */
    WIRE_RESULT,  /* u32 number, error: ends the call */
    WIRE_REPLY,   /* what the call gives beside its result */
    WIRE_LOG,     /* u32 level, text */
    WIRE_FINDING, /* u32 level, text, hint */
    WIRE_RESTART,
    WIRE_UNCHANGED, /* u64 ordinal */
    WIRE_MISSING,   /* path, error */
    WIRE_FACT,      /* key, value, u32 flags; to the worker, without flags: recorded in the snapshot before */
    WIRE_FINISHED,
    WIRE_OBJECT,   /* u64 size, u64 mtime, key */
    WIRE_LEFT_OUT, /* name, why */
    WIRE_ASKED,    /* restore: for the first entry; nothing comes before it */
    WIRE_OFFER,    /* name, options, about, optionally the source that covers it */
    WIRE_LEFTOVER  /* what, removal */
};

void wire_put_text(struct bytes *b, const char *text, size_t length);
void wire_put_string(struct bytes *b, const char *text); /* NULL = none */
void wire_put_error(struct bytes *b, const struct error *error);
void wire_put_entry(struct bytes *b, const struct snapshot_entry *entry);
void wire_put_plugin(struct bytes *b, const struct plugin_info *plugin);

/* The values of a plugin's options: for each u32 length or WIRE_NONE, bytes. */
void wire_put_values(struct bytes *b, const struct config_value *values, size_t count);

/* Lent from the frame, terminated. NULL = none, or failed. */
const char *wire_text(struct cursor *c, size_t maximum, size_t *length);
/* As wire_text, with "none" a failure. */
const char *wire_text_required(struct cursor *c, size_t maximum, size_t *length);
bool wire_error(struct cursor *c, struct error *error);
/* The attributes go to *attributes, an array that this grows and the caller frees. */
bool wire_entry(struct cursor *c, struct snapshot_entry *entry, struct snapshot_attribute **attributes);
/* Allocates what *plugin points to; wire_plugin_free, also after failure, when *no_memory says whether it was that. */
bool wire_plugin(struct cursor *c, struct plugin_info *plugin, bool *no_memory);
void wire_plugin_free(struct plugin_info *plugin);

#endif
