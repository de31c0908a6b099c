#include "rsync/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"

/* The way of a parcel:
 *
 *   put ──► staged, waits ──WORTH bytes or a flush──► sending ──► comparing ──same──► gone from here
 *              ^                                         │            │
 *              └───────── the run failed, or it differs ─┴────────────┘
 *
 * rsync is slow to start and fast once it runs, so that many objects go in one run; three runs may be under way, since
 * one waits for the far disk while another fills the line. What a run says is no proof: rsync ends with 0 before the
 * data are on the disk, and a name that was taken is passed over without a word. So each sending is followed by a
 * comparison, in which the far side reads what it has; small objects come back with it, for whoever reads them back.
 *
 * Invariants: a parcel has a run if and only if that run is about it; runs take parcels in the order of their puts, and
 * never one that replaces together with one that must not; `waiting` is the bytes of those without a run; the staged
 * copy is given up only when the comparison found it there and the same. A flush ends when there is no parcel, or with
 * the first error, after which what is left waits for the next try.
 */

#define BATCH 2000                 /* objects in one run */
#define WORTH ((int64_t)32 << 20)  /* bytes that are worth a run */
#define SMALL ((int64_t)256 << 10) /* bytes of a run that comes back */

_Static_assert(OUTBOX_RUNS <= PROGRAM_MANY, "all runs can be waited for together");

void outbox_open(struct outbox *box, struct link *link, struct inbox *inbox)
{
    *box = (struct outbox){.link = link, .inbox = inbox};
    for (size_t i = 0; i < OUTBOX_RUNS; i++)
        box->runs[i].program = (struct program)PROGRAM_NONE;
}

static void end_run(const struct outbox *box, struct outbox_run *run)
{
    program_kill(&run->program);
    program_close(&run->program);
    transfer_remove_mark(box->link, WORKSPACE_OUT, &run->names);
    run->names.length = 0;
    run->count = 0;
    run->bytes = 0;
}

/* What they were about stays in the outbox, and waits. */
static void end_runs(struct outbox *box)
{
    for (size_t i = 0; i < OUTBOX_RUNS; i++)
        end_run(box, &box->runs[i]);
    for (size_t i = 0; i < box->count; i++)
        box->parcels[i].run = NULL;
    box->waiting = box->bytes;
}

void outbox_close(struct outbox *box)
{
    end_runs(box);
    for (size_t i = 0; i < OUTBOX_RUNS; i++)
        transfer_free_names(&box->runs[i].names);
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

/* As many of the parcels that wait as can go together. */
static void choose(struct outbox *box, struct outbox_run *run)
{
    const struct parcel *first = NULL;
    for (size_t i = 0; i < box->count && run->count < BATCH; i++) {
        struct parcel *parcel = &box->parcels[i];
        if (parcel->run)
            continue;
        first = first ? first : parcel;
        if (parcel->replace != first->replace)
            break;
        parcel->run = run;
        run->count++;
        run->bytes += parcel->size;
    }
    box->waiting -= run->bytes;
    run->kind = first->replace ? TRANSFER_REPLACE : TRANSFER_SEND;
}

static bool is_sending(const struct outbox_run *run)
{
    return run->kind == TRANSFER_SEND || run->kind == TRANSFER_REPLACE;
}

static int32_t write_names(const struct outbox *box, struct outbox_run *run, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    transfer_remove_mark(box->link, WORKSPACE_OUT, &run->names);
    run->names.length = 0;
    for (size_t i = 0; i < box->count && !result; i++)
        if (box->parcels[i].run == run)
            result = transfer_name(&run->names, box->parcels[i].key, error);
    if (!result && is_sending(run))
        result = transfer_add_mark(box->link, WORKSPACE_OUT, &run->names, error);
    return result;
}

static struct transfer describe(const struct outbox *box, const struct outbox_run *run, char subject[64])
{
    snprintf(subject, 64, "%zu object%s", run->count, run->count == 1 ? "" : "s");
    struct transfer t = {.names = &run->names,
                         .subject = subject,
                         .kind = run->kind,
                         .work = run->bytes,
                         .slot = 1 + (int)(run - box->runs)};
    return t;
}

static int32_t start(struct outbox *box, struct outbox_run *run, struct cofre_call *call, struct cofre_error *error)
{
    char subject[64];
    int32_t result = write_names(box, run, error);
    struct transfer t = describe(box, run, subject);
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
        cofre_fail(error, COFRE_E_INTEGRITY, "object '%s' is in '%s' with other content", parcel->key, target);
        cofre_hint(error, "it was left as it is; cofre verify tells whether it is damaged");
        return COFRE_E_INTEGRITY;
    }
    cofre_fail(error, COFRE_E_INTEGRITY, "object '%s' was sent, but is not in '%s'", parcel->key, target);
    cofre_hint(error, "does something on the far side move or remove files, or refuse some of them (exclude)?");
    return COFRE_E_INTEGRITY;
}

static void drop(struct outbox *box, const struct parcel *parcel)
{
    char path[WORKSPACE_PATH];
    unlink(workspace_path(&box->link->workspace, WORKSPACE_OUT, parcel->key, path));
    box->bytes -= parcel->size;
}

/* All of a run's parcels are there. */
static void drop_all(struct outbox *box, struct outbox_run *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < box->count; i++)
        if (box->parcels[i].run == run)
            drop(box, &box->parcels[i]);
        else
            box->parcels[kept++] = box->parcels[i];
    box->count = kept;
    end_run(box, run);
}

/* One that is there already with other content goes out of the way, or it would stop all others for ever. */
static int32_t look_at_all(struct outbox *box, struct outbox_run *run, const char *text, struct cofre_error *error)
{
    for (size_t i = 0; i < box->count; i++) {
        int32_t result = box->parcels[i].run == run ? look_at(box, &box->parcels[i], text, error) : COFRE_OK;
        if (!result)
            continue;
        drop(box, &box->parcels[i]);
        memmove(box->parcels + i, box->parcels + i + 1, (--box->count - i) * sizeof *box->parcels);
        return result;
    }
    drop_all(box, run);
    return COFRE_OK;
}

/* What came back goes into the inbox, or all of it is forgotten. */
static int32_t look_at_returned(struct outbox *box, const struct outbox_run *run, bool *same, struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    *same = true;
    int32_t result = inbox_keep(box->inbox, run->names.text, run->names.length, error);
    for (size_t i = 0; i < box->count && *same; i++) {
        const struct parcel *parcel = &box->parcels[i];
        workspace_path(&box->link->workspace, WORKSPACE_OUT, parcel->key, path);
        *same = parcel->run != run || inbox_is_same(box->inbox, parcel->key, path);
    }
    for (size_t i = 0; i < box->count && (result || !*same); i++)
        if (box->parcels[i].run == run)
            inbox_drop(box->inbox, box->parcels[i].key);
    return result;
}

/* What is compared is what was sent, and not what came since. */
static int32_t finish_sending(struct outbox *box, struct outbox_run *run, struct cofre_call *call,
                              struct cofre_error *error)
{
    char subject[64];
    struct transfer t = describe(box, run, subject);
    int32_t result = transfer_finish(box->link, &t, &run->program, NULL, error);
    run->kind = run->bytes <= SMALL ? TRANSFER_FETCH : TRANSFER_COMPARE;
    return result ? result : start(box, run, call, error);
}

/* Those that did not all come back as they were are compared again, the other way, which tells what is wrong. */
static int32_t finish_fetching(struct outbox *box, struct outbox_run *run, struct cofre_call *call,
                               struct cofre_error *error)
{
    char subject[64];
    bool same;
    struct transfer t = describe(box, run, subject);
    int32_t result = transfer_finish(box->link, &t, &run->program, NULL, error);
    if (!result)
        result = look_at_returned(box, run, &same, error);
    if (!result && !same) {
        run->kind = TRANSFER_COMPARE;
        return start(box, run, call, error);
    }
    if (!result)
        drop_all(box, run);
    return result;
}

static int32_t finish_comparing(struct outbox *box, struct outbox_run *run, struct cofre_error *error)
{
    char subject[64], *text = NULL;
    struct transfer t = describe(box, run, subject);
    int32_t result = transfer_finish(box->link, &t, &run->program, &text, error);
    if (!result)
        result = look_at_all(box, run, text, error);
    free(text);
    return result;
}

static int32_t finish(struct outbox *box, struct outbox_run *run, struct cofre_call *call, struct cofre_error *error)
{
    if (is_sending(run))
        return finish_sending(box, run, call, error);
    return run->kind == TRANSFER_FETCH ? finish_fetching(box, run, call, error) : finish_comparing(box, run, error);
}

/* A daemon may permit one connection at a time, and a bandwidth is that of one run. */
static struct outbox_run *find_free(struct outbox *box)
{
    size_t most = box->link->target.daemon || box->link->options->bandwidth ? 1 : OUTBOX_RUNS;
    for (size_t i = 0; i < most; i++)
        if (box->runs[i].count == 0)
            return &box->runs[i];
    return NULL;
}

static struct outbox_run *find_ended(struct outbox *box)
{
    for (size_t i = 0; i < OUTBOX_RUNS; i++)
        if (box->runs[i].count > 0 && program_ended(&box->runs[i].program, 0))
            return &box->runs[i];
    return NULL;
}

static int32_t wait_for_one(struct outbox *box, struct cofre_call *call, struct cofre_error *error)
{
    struct program *programs[OUTBOX_RUNS];
    size_t count = 0;
    for (size_t i = 0; i < OUTBOX_RUNS; i++)
        if (box->runs[i].count > 0)
            programs[count++] = &box->runs[i].program;
    return program_wait_any(programs, count, call, error);
}

/* Is there something for another run? Too little is left to wait, unless everything waits for it. */
static bool is_worth_a_run(const struct outbox *box, bool wait, int64_t enough)
{
    size_t under_way = 0;
    for (size_t i = 0; i < OUTBOX_RUNS; i++)
        under_way += box->runs[i].count;
    return under_way < box->count && (box->waiting >= enough || (wait && under_way == 0));
}

/* End or begin one run. wait: for one to end, if there is nothing else to do; otherwise *go = false says so. */
static int32_t step(struct outbox *box, bool wait, int64_t enough, bool *go, struct cofre_call *call,
                    struct cofre_error *error)
{
    struct outbox_run *run = find_ended(box);
    if (run)
        return finish(box, run, call, error);
    run = is_worth_a_run(box, wait, enough) ? find_free(box) : NULL;
    if (run) {
        choose(box, run);
        return start(box, run, call, error);
    }
    *go = wait;
    return wait ? wait_for_one(box, call, error) : COFRE_OK;
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

/* So many bytes that others still find room while these are under way. */
static int64_t enough_of(const struct outbox *box)
{
    int64_t part = box->link->options->staging_size / (OUTBOX_RUNS + 1);
    return part > WORTH ? part : WORTH;
}

static int32_t too_large(const struct outbox *box, const char *key, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_NO_SPACE, "put '%s': it has more than the %lld MiB of staging_size", key,
               (long long)(box->link->options->staging_size >> 20));
    cofre_hint(error, "raise staging_size; '%s' needs the room", box->link->options->staging);
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
            int32_t class =
                cofre_fail_errno(error, errno, "stage object '%s' in '%s'", key, box->link->options->staging);
            cofre_hint(error, "make room there, or name another directory with staging");
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
            return cofre_fail(error, COFRE_E_BUG, "put '%s': the host sent a hole", parcel->key);
        parcel->size += (int64_t)length;
        if (parcel->size > bound)
            return too_large(box, parcel->key, error);
        if (box->bytes + parcel->size > bound)
            result = pump(box, bound - parcel->size, enough_of(box), call, error);
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
        return cofre_fail_errno(error, errno, "stage object '%s'", parcel->key);
    result = receive(box, call, fd, parcel, error);
    if (close(fd) && !result)
        result = cofre_fail_errno(error, errno, "stage object '%s'", parcel->key);
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
        return cofre_fail(error, COFRE_E_MEMORY, "stage an object: out of memory");
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
    int32_t result = pump(box, outbox_has(box, key) ? -1 : bound, enough_of(box), call, error);
    inbox_drop(box->inbox, key);
    if (!result)
        result = make_room(box, error);
    if (!result)
        result = stage(box, call, &parcel, error);
    if (result)
        return result;
    box->parcels[box->count++] = parcel;
    box->bytes += parcel.size;
    box->waiting += parcel.size;
    return pump(box, bound, enough_of(box), call, error);
}
