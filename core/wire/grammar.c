#include "wire/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cofre/plugin.h"
#include "snapshot/entry.h"
#include "snapshot/path.h"

#define SHOWN 200 /* bytes of a path in a message */

/* What a kind of entry has. */
static const struct {
    bool known, content, link;
} kinds[] = {
    [COFRE_FILE] = {true, true, false},    [COFRE_DIRECTORY] = {true, false, false},
    [COFRE_SYMLINK] = {true, false, true}, [COFRE_HARDLINK] = {true, false, true},
    [COFRE_FIFO] = {true, false, false},   [COFRE_CHARACTER] = {true, false, false},
    [COFRE_BLOCK] = {true, false, false},  [COFRE_SOCKET] = {true, false, false},
    [COFRE_STREAM] = {true, true, false},
};

int grammar_start(struct grammar *g, struct error *e)
{
    char *path = g->path ? g->path : malloc(PATH_LONGEST + 1);
    *g = (struct grammar){.path = path};
    return path ? 0 : error_memory(e);
}

void grammar_free(struct grammar *g)
{
    free(g->path);
    *g = (struct grammar){.path = NULL};
}

static int bad(struct error *e, const char *what, const char *path, size_t length, const char *why)
{
    char shown[SHOWN];
    return error_set(e, ERROR_PLUGIN, "%s '%s', %s", what, log_escape(path, length, shown, sizeof shown), why);
}

static const char *entry_fault(const struct snapshot_entry *entry)
{
    if (entry->kind >= sizeof kinds / sizeof kinds[0] || !kinds[entry->kind].known)
        return "of an unknown kind";
    if (!path_valid(entry->path, entry->path_length))
        return "which is no relative path without '.', '..' and empty components";
    if (entry->path_length == 0 && entry->kind != COFRE_DIRECTORY)
        return "the root, but not as a directory";
    if (entry->size < -1)
        return "with a negative size";
    if (entry->mode > 07777)
        return "with more than permission bits in its mode";
    if (kinds[entry->kind].link != (entry->link_length > 0))
        return entry->link_length ? "which has a link target but is no link" : "a link without a target";
    if (entry->kind == COFRE_HARDLINK && !path_valid(entry->link, entry->link_length))
        return "a hard link to what is no path";
    if (entry->kind == COFRE_HARDLINK &&
        path_compare(entry->link, entry->link_length, entry->path, entry->path_length) >= 0)
        return "a hard link to an entry that was not announced before it";
    return NULL;
}

/* In path order the first entry below another one comes right behind it: only the last one has to be known. */
static bool below_last(const struct grammar *g, const char *path, size_t length)
{
    return g->any && g->closed && path_is_below(path, length, g->path, g->path_length);
}

bool grammar_follows(const struct grammar *g, const char *path, size_t length)
{
    return !g->any || (path_compare(g->path, g->path_length, path, length) < 0 && !below_last(g, path, length));
}

static void advance(struct grammar *g, const char *path, size_t length, bool closed)
{
    memcpy(g->path, path, length);
    g->path[length] = '\0';
    g->path_length = length;
    g->any = true;
    g->closed = closed;
}

/* what: was done with the entry. */
static int take_place(struct grammar *g, const char *what, const char *path, size_t length, uint32_t kind,
                      struct error *e)
{
    char shown[SHOWN], last[SHOWN];
    if (grammar_follows(g, path, length)) {
        advance(g, path, length, kind != COFRE_DIRECTORY);
        return 0;
    }
    log_escape(path, length, shown, sizeof shown);
    log_escape(g->path, g->path_length, last, sizeof last);
    if (below_last(g, path, length))
        return error_set(e, ERROR_PLUGIN, "%s '%s' below '%s', which is no directory", what, shown, last);
    return error_set(e, ERROR_PLUGIN, "%s '%s' after '%s': entries must come in path order, each once", what, shown,
                     last);
}

int grammar_entry(struct grammar *g, const struct snapshot_entry *entry, struct error *e)
{
    if (g->open)
        return bad(e, "announced an entry before the end of", g->path, g->path_length, "which was still open");
    const char *fault = entry_fault(entry);
    if (fault)
        return bad(e, "announced", entry->path, entry->path_length, fault);
    if (take_place(g, "announced", entry->path, entry->path_length, entry->kind, e) < 0)
        return -1;
    g->open = true;
    g->has_content = kinds[entry->kind].content;
    g->content = 0;
    return 0;
}

int grammar_content(struct grammar *g, uint64_t length, struct error *e)
{
    if (!g->open)
        return error_set(e, ERROR_PLUGIN, "sent content outside of an entry");
    if (!g->has_content)
        return bad(e, "sent content for", g->path, g->path_length, "an entry of a kind that has none");
    if (length > (uint64_t)INT64_MAX - g->content)
        return bad(e, "sent for", g->path, g->path_length, "more bytes than there can be");
    g->content += length;
    return 0;
}

int grammar_restart(struct grammar *g, struct error *e)
{
    if (!g->open)
        return error_set(e, ERROR_PLUGIN, "called restart outside of an entry");
    g->content = 0;
    return 0;
}

int grammar_end(struct grammar *g, struct error *e)
{
    if (!g->open)
        return error_set(e, ERROR_PLUGIN, "called end outside of an entry");
    g->open = false;
    return 0;
}

void grammar_withdraw(struct grammar *g)
{
    g->open = false;
}

void grammar_unchanged(struct grammar *g, const char *path, size_t length)
{
    advance(g, path, length, false);
}

int grammar_ordinal(struct grammar *g, uint64_t ordinal, struct error *e)
{
    if (g->open)
        return bad(e, "went on before the end of", g->path, g->path_length, "which was still open");
    if (ordinal < g->ordinals || ordinal == UINT64_MAX)
        return error_set(e, ERROR_PLUGIN, "named unchanged entries out of order");
    g->ordinals = ordinal + 1;
    return 0;
}

int grammar_taken_over(struct grammar *g, const char *path, size_t length, uint32_t kind, struct error *e)
{
    return take_place(g, "took over", path, length, kind, e);
}

int grammar_finish(struct grammar *g, struct error *e)
{
    if (g->open)
        return bad(e, "ended its stream early, before the end of", g->path, g->path_length, "which was still open");
    return 0;
}
