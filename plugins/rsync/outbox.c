#include "rsync/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failure.h"

#define BATCH 2000                 /* objects in one run */
#define SMALL ((int64_t)256 << 10) /* bytes of a run that comes back */

void outbox_open(struct outbox *box, struct link *link, struct inbox *inbox)
{
    *box = (struct outbox){
        .link = link, .inbox = inbox, .comparing.program = PROGRAM_NONE, .sending.program = PROGRAM_NONE};
}

static void end_run(struct outbox_run *run)
{
    program_kill(&run->program);
    program_close(&run->program);
    run->count = 0;
    run->bytes = 0;
}

/* What they were about stays in the outbox. */
static void end_runs(struct outbox *box)
{
    end_run(&box->sending);
    end_run(&box->comparing);
}

void outbox_close(struct outbox *box)
{
    end_runs(box);
    transfer_free_names(&box->sending.names);
    transfer_free_names(&box->comparing.names);
    free(box->parcels);
    outbox_open(box, NULL, NULL);
}

bool outbox_has(const struct outbox *box, const char *key)
{
    for (size_t i = 0; i < box->count; i++)
        if (strcmp(box->parcels[i].key, key) == 0)
            return true;
    return false;
}

/* ---- the runs ---- */

static const struct parcel *first_of(const struct outbox *box, const struct outbox_run *run)
{
    return box->parcels + (run == &box->sending ? box->comparing.count : 0);
}

/* The longest row of parcels, after those that were sent, that can go together. */
static void choose(struct outbox *box)
{
    struct outbox_run *run = &box->sending;
    const struct parcel *first = first_of(box, run);
    size_t left = box->count - box->comparing.count;
    while (run->count < left && run->count < BATCH && first[run->count].replace == first->replace)
        run->bytes += first[run->count++].size;
    run->kind = first->replace ? TRANSFER_REPLACE : TRANSFER_SEND;
}

static int32_t write_names(const struct outbox *box, struct outbox_run *run, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    run->names.length = 0;
    for (size_t i = 0; i < run->count && !result; i++)
        result = transfer_name(&run->names, first_of(box, run)[i].key, error);
    return result;
}

static struct transfer describe(const struct outbox_run *run, char subject[64])
{
    snprintf(subject, 64, "%zu object%s", run->count, run->count == 1 ? "" : "s");
    struct transfer t = {.names = &run->names, .subject = subject, .kind = run->kind, .work = run->bytes};
    return t;
}

static int32_t start(struct outbox *box, struct outbox_run *run, struct cofre_call *call, struct cofre_error *error)
{
    char subject[64];
    int32_t result = write_names(box, run, error);
    if (!result && run == &box->sending)
        result = transfer_add_mark(box->link, WORKSPACE_OUT, &run->names, error);
    struct transfer t = describe(run, subject);
    return result ? result : transfer_start(box->link, &t, &run->program, call, error);
}

/* What the far side has under the key: the same, something else, or nothing. */
static int32_t look_at(const struct outbox *box, const struct parcel *parcel, const char *text,
                       struct cofre_error *error)
{
    const char *target = box->link->options->target;
    size_t n = strlen(parcel->key);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t length = strcspn(line, "\n");
        if (length != n + 12 || memcmp(line + 12, parcel->key, n) != 0)
            continue;
        if (line[0] == '.' && line[1] == 'f')
            return COFRE_OK;
        /* Not COFRE_E_EXISTS: the call at hand may be about another object. */
        failure_set(error, COFRE_E_INTEGRITY, "object '%s' is in '%s' with other content", parcel->key, target);
        failure_hint(error, "it was left as it is; cofre verify tells whether it is damaged");
        return COFRE_E_INTEGRITY;
    }
    failure_set(error, COFRE_E_INTEGRITY, "object '%s' was sent, but is not in '%s'", parcel->key, target);
    failure_hint(error, "does something on the far side move or remove files, or refuse some of them (exclude)?");
    return COFRE_E_INTEGRITY;
}

static void drop_first(struct outbox *box, size_t count)
{
    char path[WORKSPACE_PATH];
    for (size_t i = 0; i < count; i++) {
        unlink(workspace_path(&box->link->workspace, WORKSPACE_OUT, box->parcels[i].key, path));
        box->bytes -= box->parcels[i].size;
    }
    box->count -= count;
    memmove(box->parcels, box->parcels + count, box->count * sizeof *box->parcels);
}

/* One that is there already with other content goes out of the way, or it would stop all others for ever. */
static int32_t look_at_all(struct outbox *box, const char *text, struct cofre_error *error)
{
    size_t count = box->comparing.count;
    box->comparing.count = 0;
    box->comparing.bytes = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t result = look_at(box, &box->parcels[i], text, error);
        if (result) {
            drop_first(box, i + 1);
            return result;
        }
    }
    drop_first(box, count);
    return COFRE_OK;
}

/* What came back goes into the inbox, or all of it is forgotten. */
static int32_t look_at_returned(struct outbox *box, bool *same, struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    const struct outbox_run *run = &box->comparing;
    *same = true;
    int32_t result = inbox_keep(box->inbox, run->names.text, run->names.length, error);
    for (size_t i = 0; i < run->count && *same; i++) {
        const char *key = box->parcels[i].key;
        *same = inbox_is_same(box->inbox, key, workspace_path(&box->link->workspace, WORKSPACE_OUT, key, path));
    }
    for (size_t i = 0; i < run->count && (result || !*same); i++)
        inbox_drop(box->inbox, box->parcels[i].key);
    return result;
}

/* Those that did not all come back as they were are compared again, the other way, which tells what is wrong. */
static int32_t finish_fetching(struct outbox *box, struct cofre_call *call, struct cofre_error *error)
{
    char subject[64];
    bool same;
    struct outbox_run *run = &box->comparing;
    struct transfer t = describe(run, subject);
    int32_t result = transfer_finish(box->link, &t, &run->program, NULL, error);
    if (!result)
        result = look_at_returned(box, &same, error);
    if (result)
        return result;
    if (!same) {
        run->kind = TRANSFER_COMPARE;
        return start(box, run, call, error);
    }
    drop_first(box, run->count);
    end_run(run);
    return COFRE_OK;
}

static int32_t finish_comparing(struct outbox *box, struct cofre_call *call, struct cofre_error *error)
{
    char subject[64], *text = NULL;
    if (box->comparing.kind == TRANSFER_FETCH)
        return finish_fetching(box, call, error);
    struct transfer t = describe(&box->comparing, subject);
    int32_t result = transfer_finish(box->link, &t, &box->comparing.program, &text, error);
    if (!result)
        result = look_at_all(box, text, error);
    free(text);
    return result;
}

/* Nothing is being compared. What is compared next is what was sent, and not what came since. */
static int32_t finish_sending(struct outbox *box, struct cofre_call *call, struct cofre_error *error)
{
    char subject[64];
    struct outbox_run *sending = &box->sending;
    struct transfer t = describe(sending, subject);
    int32_t result = transfer_finish(box->link, &t, &sending->program, NULL, error);
    if (result)
        return result;
    box->comparing.count = sending->count;
    box->comparing.bytes = sending->bytes;
    box->comparing.kind = sending->bytes <= SMALL ? TRANSFER_FETCH : TRANSFER_COMPARE;
    end_run(sending);
    return start(box, &box->comparing, call, error);
}

/* A daemon may permit one connection at a time. */
static bool may_send(const struct outbox *box, int64_t enough)
{
    size_t running = box->comparing.count + box->sending.count;
    bool able = box->sending.count == 0 && (box->comparing.count == 0 || !box->link->target.daemon);
    return able && box->count > running && box->bytes - box->comparing.bytes >= enough;
}

/* Begin or end one run. wait: for one to end, if none can begin; otherwise *go = false says that nothing is to do. */
static int32_t step(struct outbox *box, bool wait, int64_t enough, bool *go, struct cofre_call *call,
                    struct cofre_error *error)
{
    if (may_send(box, wait ? 0 : enough)) {
        choose(box);
        return start(box, &box->sending, call, error);
    }
    bool comparing = box->comparing.count > 0;
    struct program *program = comparing ? &box->comparing.program : &box->sending.program;
    *go = wait || ((comparing || box->sending.count > 0) && program_ended(program, 0));
    if (!*go)
        return COFRE_OK;
    int32_t result = program_wait(program, call, error);
    if (!result)
        result = comparing ? finish_comparing(box, call, error) : finish_sending(box, call, error);
    return result;
}

/* Go on with what can be gone on with. limit: wait as long as more bytes than this are staged; -1 = wait for all.
 * enough: bytes that are worth a run. */
static int32_t pump(struct outbox *box, int64_t limit, int64_t enough, struct cofre_call *call,
                    struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    for (bool go = true; go && !result && box->count > 0;)
        result = step(box, box->bytes > limit || limit < 0, enough, &go, call, error);
    if (result)
        end_runs(box);
    return result;
}

int32_t outbox_flush(struct outbox *box, struct cofre_call *call, struct cofre_error *error)
{
    return pump(box, -1, 0, call, error);
}

/* ---- put ---- */

static int32_t too_large(const struct outbox *box, const char *key, struct cofre_error *error)
{
    failure_set(error, COFRE_E_NO_SPACE, "put '%s': it has more than the %lld MiB of staging_size", key,
                (long long)(box->link->options->staging_size >> 20));
    failure_hint(error, "raise staging_size; '%s' needs the room", box->link->options->staging);
    return COFRE_E_NO_SPACE;
}

static int32_t write_all(const struct outbox *box, int fd, const char *key, const char *p, uint64_t length,
                         struct cofre_error *error)
{
    while (length > 0) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int32_t class = failure_system(error, errno, "stage object '%s' in '%s'", key, box->link->options->staging);
            failure_hint(error, "make room there, or name another directory with staging");
            return class;
        }
        p += n;
        length -= (uint64_t)n;
    }
    return COFRE_OK;
}

static int32_t receive(struct outbox *box, struct cofre_call *call, int fd, struct parcel *parcel,
                       struct cofre_error *error)
{
    const void *bytes;
    uint64_t length;
    int32_t result;
    int64_t bound = box->link->options->staging_size;
    while ((result = cofre->take(call, &bytes, &length, error)) == COFRE_OK) {
        if (!bytes)
            return failure_set(error, COFRE_E_BUG, "put '%s': the host sent a hole", parcel->key);
        parcel->size += (int64_t)length;
        if (parcel->size > bound)
            return too_large(box, parcel->key, error);
        if (box->bytes + parcel->size > bound)
            result = pump(box, bound - parcel->size, bound / 4, call, error);
        if (!result)
            result = write_all(box, fd, parcel->key, bytes, length, error);
        if (result)
            return result;
    }
    return result == COFRE_END ? COFRE_OK : result;
}

static int32_t stage(struct outbox *box, struct cofre_call *call, struct parcel *parcel, struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    const struct workspace *workspace = &box->link->workspace;
    int32_t result = workspace_parents(workspace, WORKSPACE_OUT, parcel->key, error);
    if (result)
        return result;
    workspace_path(workspace, WORKSPACE_OUT, parcel->key, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failure_system(error, errno, "stage object '%s'", parcel->key);
    result = receive(box, call, fd, parcel, error);
    if (close(fd) && !result)
        result = failure_system(error, errno, "stage object '%s'", parcel->key);
    if (result)
        unlink(path);
    return result;
}

static int32_t make_room(struct outbox *box, struct cofre_error *error)
{
    if (box->count < box->room)
        return COFRE_OK;
    size_t room = box->room ? 2 * box->room : 64;
    struct parcel *parcels = realloc(box->parcels, room * sizeof *parcels);
    if (!parcels)
        return failure_set(error, COFRE_E_MEMORY, "stage an object: out of memory");
    box->parcels = parcels;
    box->room = room;
    return COFRE_OK;
}

int32_t outbox_put(struct outbox *box, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error)
{
    int64_t bound = box->link->options->staging_size;
    struct parcel parcel = {.replace = !(put->flags & COFRE_PUT_IF_ABSENT)};
    snprintf(parcel.key, sizeof parcel.key, "%s", key);
    /* What failed meanwhile is said before anything new is taken. The same key twice: one after the other. */
    int32_t result = pump(box, outbox_has(box, key) ? -1 : bound, bound / 4, call, error);
    inbox_drop(box->inbox, key);
    if (!result)
        result = make_room(box, error);
    if (!result)
        result = stage(box, call, &parcel, error);
    if (result)
        return result;
    box->parcels[box->count++] = parcel;
    box->bytes += parcel.size;
    return pump(box, bound, bound / 4, call, error);
}
