#include "rsync/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "rsync/verdict.h"

#define TEXT_MAX ((size_t)1 << 30)
#define STDERR_MAX ((size_t)64 << 10)
#define OPTIONS 6

static const struct {
    const char *verb, *folder;
    enum link_way way;
    bool push;
    const char *options[OPTIONS];
} kinds[] = {
    [TRANSFER_CREATE] = {"make", WORKSPACE_VOID, LINK_WRITE, true, {"--dirs"}},
    [TRANSFER_SEND] = {"send", WORKSPACE_OUT, LINK_WRITE, true, {"--ignore-existing", "--whole-file"}},
    [TRANSFER_REPLACE] = {"send", WORKSPACE_OUT, LINK_WRITE, true, {"--ignore-times", "--whole-file"}},
    [TRANSFER_PROBE] = {"try to replace", WORKSPACE_OUT, LINK_WRITE, true, {"--dry-run", "--ignore-times", "-ii"}},
    [TRANSFER_COMPARE] =
        {"compare", WORKSPACE_OUT, LINK_READ, false, {"--dry-run", "--checksum", "-ii", "--ignore-missing-args"}},
    [TRANSFER_FETCH] = {"get", WORKSPACE_IN, LINK_READ, false, {"--whole-file", "--ignore-missing-args"}},
    [TRANSFER_LIST] = {"list",
                       WORKSPACE_IN,
                       LINK_READ,
                       false,
                       {"--list-only", "--recursive", "--exclude=/" TRANSFER_TEMPORARY "/*",
                        "--exclude=/" TRANSFER_MARKS, "--ignore-missing-args"}},
    [TRANSFER_DEBRIS] =
        {"list", WORKSPACE_IN, LINK_READ, false, {"--list-only", "--recursive", "--ignore-missing-args"}},
    [TRANSFER_LOOK] = {"look at", WORKSPACE_IN, LINK_READ, false, {"--list-only", "--ignore-missing-args"}},
    [TRANSFER_REMOVE] = {"remove", WORKSPACE_VOID, LINK_WRITE, true, {"--delete-missing-args", "--whole-file"}},
};

int32_t transfer_name(struct transfer_names *names, const char *name, struct cofre_error *error)
{
    size_t n = strlen(name) + 1;
    if (names->room - names->length < n) {
        size_t room = 2 * names->room + n + 256;
        char *text = realloc(names->text, room);
        if (!text)
            return cofre_fail(error, COFRE_E_MEMORY, "list names: out of memory");
        names->text = text;
        names->room = room;
    }
    memcpy(names->text + names->length, name, n);
    names->length += n;
    return COFRE_OK;
}

int32_t transfer_add_mark(const struct link *link, const char *folder, struct transfer_names *names,
                          struct cofre_error *error)
{
    char name[64], path[WORKSPACE_PATH];
    uint32_t random = 0;
    if (!link->options->fsync)
        return COFRE_OK;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return cofre_fail_errno(error, errno, "get random bytes");
    snprintf(name, sizeof name, TRANSFER_MARKS "/%010lld.%08x", (long long)time(NULL), random);
    int32_t result = workspace_parents(&link->workspace, folder, name, error);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!result)
        result = workspace_write(&link->workspace, path, "flush\n", 6, error);
    return result ? result : transfer_name(names, name, error);
}

void transfer_remove_mark(const struct link *link, const char *folder, const struct transfer_names *names)
{
    char path[WORKSPACE_PATH];
    if (names->length == 0)
        return;
    const char *before = memrchr(names->text, '\0', names->length - 1);
    const char *last = before ? before + 1 : names->text;
    if (strncmp(last, TRANSFER_MARKS "/", sizeof TRANSFER_MARKS) == 0)
        unlink(workspace_path(&link->workspace, folder, last, path));
}

void transfer_free_names(struct transfer_names *names)
{
    free(names->text);
    *names = (struct transfer_names){0};
}

/* What writes objects, and so does it under another name first, and has it flushed. */
static bool is_writing(enum transfer_kind kind)
{
    return kind == TRANSFER_SEND || kind == TRANSFER_REPLACE || kind == TRANSFER_REMOVE;
}

static void add_words(const struct link *link, const struct transfer *t, struct program_words *words)
{
    char folder[WORKSPACE_PATH];
    const struct options *o = link->options;
    link_words(link, kinds[t->kind].way, t->work, words);
    for (size_t i = 0; i < OPTIONS && kinds[t->kind].options[i]; i++)
        program_word(words, "%s", kinds[t->kind].options[i]);
    if (is_writing(t->kind))
        program_word(words, "--temp-dir=%s" TRANSFER_TEMPORARY, link->target.path);
    if (o->fsync && is_writing(t->kind))
        program_word(words, "--fsync");
    /* ssh guards every byte, and what was sent is compared: rsync's own checksums would be a third look. --fsync tells
     * that the far side is new enough to be told. */
    if (o->fsync && t->kind == TRANSFER_SEND && !link->target.daemon)
        program_word(words, "--checksum-choice=none");
    if (o->fsync && t->kind == TRANSFER_CREATE)
        program_word(words, "--mkpath");
    if (t->kind == TRANSFER_FETCH)
        program_word(words, "--max-size=%lld", (long long)o->staging_size);
    program_word(words, "--files-from=%s/names%d", link->workspace.path, t->slot);
    program_word(words, "--");
    workspace_path(&link->workspace, kinds[t->kind].folder, "", folder);
    if (kinds[t->kind].push)
        program_word(words, "%s/", folder);
    program_word(words, "%s", kinds[t->kind].push ? link->target.spec : link->target.base);
    if (!kinds[t->kind].push)
        program_word(words, "%s/", folder);
}

static int32_t write_names(const struct link *link, const struct transfer *t, struct cofre_error *error)
{
    char file[16], name[TARGET_MAX + COFRE_MAX_KEY + 8];
    struct transfer_names prefixed = {0};
    const struct transfer_names *names = t->names;
    int32_t result = COFRE_OK;
    snprintf(file, sizeof file, "names%d", t->slot);
    if (!kinds[t->kind].push && link->target.inner[0]) {
        names = &prefixed;
        for (size_t at = 0; !result && at < t->names->length; at += strlen(t->names->text + at) + 1) {
            snprintf(name, sizeof name, "%s%s", link->target.inner, t->names->text + at);
            result = transfer_name(&prefixed, name, error);
        }
    }
    if (!result)
        result = workspace_write(&link->workspace, file, names->text, names->length, error);
    transfer_free_names(&prefixed);
    return result;
}

int32_t transfer_start(struct link *link, const struct transfer *t, struct program *program, struct cofre_call *call,
                       struct cofre_error *error)
{
    int32_t result = link_need(link, kinds[t->kind].way, call, error);
    if (!result)
        result = write_names(link, t, error);
    if (result)
        return result;
    struct program_words words = {.count = 0};
    add_words(link, t, &words);
    result = program_start(program, &link->workspace, &words, link_input(link), error);
    program_free_words(&words);
    return result;
}

static int32_t judge(struct link *link, const struct transfer *t, const struct program *program,
                     struct cofre_error *error)
{
    char what[COFRE_MAX_KEY + 64];
    int status = program_exit(program);
    if (status == 0)
        return COFRE_OK;
    char *text = program_text(program->err, STDERR_MAX, error);
    if (!text)
        return COFRE_E_MEMORY;
    snprintf(what, sizeof what, "%s %s", kinds[t->kind].verb, t->subject);
    int32_t result = verdict_fail(error, what, link->options->target, status, text);
    if (verdict_is_crowded(text))
        link_is_crowded(link);
    free(text);
    /* What failed may be the connection: another try begins with a new one. */
    if (result == COFRE_E_RETRY)
        link_drop(link);
    return result;
}

int32_t transfer_finish(struct link *link, const struct transfer *t, struct program *program, char **text,
                        struct cofre_error *error)
{
    int32_t result = judge(link, t, program, error);
    if (!result && text) {
        *text = program_text(program->out, TEXT_MAX, error);
        result = *text ? COFRE_OK : COFRE_E_MEMORY;
    }
    program_close(program);
    return result;
}

int32_t transfer_run(struct link *link, const struct transfer *t, struct cofre_call *call, char **text,
                     struct cofre_error *error)
{
    struct program program;
    int32_t result = transfer_start(link, t, &program, call, error);
    if (result)
        return result;
    result = program_wait(&program, call, error);
    if (result) {
        program_close(&program);
        return result;
    }
    return transfer_finish(link, t, &program, text, error);
}

int32_t transfer_no_place(const struct link *link, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_NOT_FOUND, "the place '%s' is not there: it has no '%s'", link->options->target,
               TRANSFER_TEMPORARY);
    cofre_hint(error, "is the disk mounted on the far side? a new place is made by: cofre init");
    return COFRE_E_NOT_FOUND;
}
