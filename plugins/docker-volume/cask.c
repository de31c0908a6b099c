#include "docker-volume/cask.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/entry_path.h"
#include "common/failure.h"

#define BLOCK 512
#define ZEROS 65536

static const mode_t types[] = {[COFRE_FILE] = S_IFREG,     [COFRE_DIRECTORY] = S_IFDIR, [COFRE_SYMLINK] = S_IFLNK,
                               [COFRE_HARDLINK] = S_IFREG, [COFRE_FIFO] = S_IFIFO,      [COFRE_CHARACTER] = S_IFCHR,
                               [COFRE_BLOCK] = S_IFBLK,    [COFRE_SOCKET] = 0,          [COFRE_STREAM] = S_IFREG};

/* ---- the archive ---- */

static la_ssize_t write_block(struct archive *archive, void *context, const void *bytes, size_t length)
{
    struct cask *c = context;
    (void)archive;
    c->class = daemon_stream_write(c->stream, bytes, length, &c->why);
    return c->class == COFRE_OK ? (la_ssize_t)length : -1;
}

/* What libarchive says, unless the stream below it said more. */
static int32_t failed(const struct cask *c, struct cofre_error *error)
{
    if (c->class != COFRE_OK) {
        *error = c->why;
        return c->class;
    }
    return cofre_fail(error, COFRE_E_PERMANENT, "write the archive for volume '%s': %s", c->prefix,
                      archive_error_string(c->archive));
}

int32_t cask_open(struct cask *c, struct cofre_error *error)
{
    c->why.struct_size = sizeof c->why;
    c->class = COFRE_OK;
    c->archive = archive_write_new();
    if (!c->archive)
        return cofre_fail_errno(error, ENOMEM, "write the archive for volume '%s'", c->prefix);
    /* Names are bytes, not text of some locale. */
    if (archive_write_set_format_pax(c->archive) != ARCHIVE_OK ||
        archive_write_set_options(c->archive, "hdrcharset=BINARY,xattrheader=SCHILY") != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(c->archive, 64 * BLOCK) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(c->archive, 1) != ARCHIVE_OK ||
        archive_write_open(c->archive, c, NULL, write_block, NULL) != ARCHIVE_OK)
        return failed(c, error);
    return COFRE_OK;
}

int32_t cask_finish(struct cask *c, struct cofre_error *error)
{
    return archive_write_close(c->archive) == ARCHIVE_OK ? COFRE_OK : failed(c, error);
}

void cask_close(struct cask *c)
{
    if (!c->archive)
        return;
    archive_write_fail(c->archive);
    archive_write_free(c->archive);
    c->archive = NULL;
}

/* ---- an entry ---- */

/* A path of the snapshot, in the archive. */
static char *renamed(const struct cask *c, const char *path, uint32_t length)
{
    char *out = NULL;
    entry_path_strip(c->prefix, &path, &length);
    return asprintf(&out, "%s%s%.*s", c->root, length ? "/" : "", (int)length, path) < 0 ? NULL : out;
}

static void set_attributes(struct cask *c, const struct finish_metadata *m, struct archive_entry *to,
                           struct losses *losses)
{
    const char *p = (const void *)m->attributes;
    for (uint32_t i = 0; i < m->attribute_count; i++, p += m->attribute_stride) {
        const struct cofre_attribute *a = (const void *)p;
        if (!finish_may_set(&c->rules, a->name))
            losses_keep_back(losses, a->name);
        else
            archive_entry_xattr_add_entry(to, a->name, a->value, a->length);
    }
}

static void set_metadata(struct cask *c, const struct cofre_entry *entry, struct archive_entry *to,
                         struct losses *losses)
{
    struct finish_metadata m = finish_of(&c->rules, entry);
    if (!c->rules.setuid && (m.mode & 06000) && entry->kind != COFRE_DIRECTORY) {
        losses_add(losses, LOSS_SETUID, 0, "setuid and setgid bits kept back: setuid = yes puts them back");
        m.mode &= 01777;
    }
    archive_entry_set_mode(to, types[entry->kind] | m.mode);
    archive_entry_set_uid(to, m.uid);
    archive_entry_set_gid(to, m.gid);
    if (m.mtime != COFRE_NO_TIME) {
        int64_t seconds = m.mtime / 1000000000, rest = m.mtime % 1000000000;
        archive_entry_set_mtime(to, seconds - (rest < 0), (long)(rest < 0 ? rest + 1000000000 : rest));
    }
    archive_entry_set_rdevmajor(to, entry->device_major);
    archive_entry_set_rdevminor(to, entry->device_minor);
    set_attributes(c, &m, to, losses);
}

/* false: out of memory. */
static bool set_names(const struct cask *c, const struct cofre_entry *entry, struct archive_entry *to)
{
    char *path = renamed(c, entry->path, entry->path_length);
    char *link = entry->kind == COFRE_HARDLINK ? renamed(c, entry->link, entry->link_length) : NULL;
    bool good = path && (link || entry->kind != COFRE_HARDLINK);
    if (good)
        archive_entry_copy_pathname(to, path);
    if (good && link)
        archive_entry_copy_hardlink(to, link);
    if (entry->kind == COFRE_SYMLINK)
        archive_entry_copy_symlink(to, entry->link);
    free(path);
    free(link);
    return good;
}

static int32_t add_bytes(struct cask *c, const void *bytes, uint64_t length, struct cofre_error *error)
{
    static const char zeros[ZEROS];
    while (length > 0) {
        size_t n = bytes ? (size_t)length : length < ZEROS ? (size_t)length : ZEROS;
        if (archive_write_data(c->archive, bytes ? bytes : zeros, n) != (la_ssize_t)n)
            return failed(c, error);
        length -= n;
    }
    return COFRE_OK;
}

/* All of it, as many bytes as the header says. */
static int32_t add_content(struct cask *c, const struct cofre_entry *entry, struct cofre_error *error)
{
    char quoted[FAILURE_QUOTE_MAX];
    const void *bytes;
    uint64_t n, at = 0;
    int32_t status;
    while ((status = cofre->take(c->call, &bytes, &n, error)) == COFRE_OK) {
        if (n > (uint64_t)entry->size - at)
            break;
        status = add_bytes(c, bytes, n, error);
        if (status != COFRE_OK)
            return status;
        at += n;
    }
    if (status != COFRE_END && status != COFRE_OK)
        return status;
    c->bytes += at;
    if (status == COFRE_END && at == (uint64_t)entry->size)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_INTEGRITY, "send '%s': it has not the %lld bytes that the snapshot says",
                      failure_quote(entry->path, entry->path_length, quoted), (long long)entry->size);
}

static int32_t send(struct cask *c, const struct cofre_entry *entry, struct losses *losses, struct cofre_error *error)
{
    struct archive_entry *to = archive_entry_new2(c->archive);
    bool content = entry->kind == COFRE_FILE || entry->kind == COFRE_STREAM;
    if (!to || !set_names(c, entry, to)) {
        archive_entry_free(to);
        return cofre_fail_errno(error, ENOMEM, "send an entry of volume '%s'", c->prefix);
    }
    set_metadata(c, entry, to, losses);
    archive_entry_set_size(to, content ? entry->size : 0);
    int written = archive_write_header(c->archive, to);
    archive_entry_free(to);
    if (written < ARCHIVE_WARN || written == ARCHIVE_FAILED || c->class != COFRE_OK)
        return failed(c, error);
    c->entries++;
    return content ? add_content(c, entry, error) : COFRE_OK;
}

/* What is no entry of an archive, or not to be put back. COFRE_OK: it is one. */
static int32_t judge(struct cask *c, const struct cofre_entry *entry)
{
    const char *fault = entry_path_fault(entry->path, entry->path_length);
    if (fault)
        return cofre_fail(&c->why, COFRE_E_INTEGRITY, "accept the path: %s", fault);
    if (entry->kind < COFRE_FILE || entry->kind > COFRE_STREAM)
        return cofre_fail(&c->why, COFRE_E_UNSUPPORTED, "put it back: a kind of entry that is not known here");
    if ((entry->kind == COFRE_CHARACTER || entry->kind == COFRE_BLOCK) && !c->devices)
        return cofre_fail(&c->why, COFRE_E_UNSUPPORTED, "device kept back: devices = yes puts it back");
    if ((entry->kind == COFRE_SYMLINK || entry->kind == COFRE_HARDLINK) && !entry->link)
        return cofre_fail(&c->why, COFRE_E_INTEGRITY, "accept the link: it has no target");
    if (entry->kind == COFRE_HARDLINK && (!entry_path_is_of(c->prefix, entry->link, entry->link_length) ||
                                          entry_path_fault(entry->link, entry->link_length)))
        return cofre_fail(&c->why, COFRE_E_INTEGRITY, "accept the first name of the hard link: it lies elsewhere");
    if ((entry->kind == COFRE_FILE || entry->kind == COFRE_STREAM) && entry->size < 0)
        return cofre_fail(&c->why, COFRE_E_UNSUPPORTED, "send it: its size is not known");
    return COFRE_OK;
}

int32_t cask_put(struct cask *c, const struct cofre_entry *entry, int32_t *result, struct cofre_error *error)
{
    struct losses losses = {.kinds = 0};
    *result = judge(c, entry);
    if (*result != COFRE_OK || entry->kind == COFRE_SOCKET)
        return COFRE_OK;
    int32_t status = send(c, entry, &losses, error);
    *result = losses_result(&losses);
    if (*result == COFRE_PARTLY)
        losses_count(&c->tally, &losses, entry->path, entry->path_length);
    return status;
}

/* ---- counting ---- */

struct reading {
    struct daemon_stream *stream;
    int32_t class;
    struct cofre_error why;
    char buffer[ZEROS];
};

static la_ssize_t read_block(struct archive *archive, void *context, const void **bytes)
{
    struct reading *r = context;
    size_t got = 0;
    (void)archive;
    r->class = daemon_stream_read(r->stream, r->buffer, sizeof r->buffer, &got, &r->why);
    *bytes = r->buffer;
    return r->class == COFRE_OK ? (la_ssize_t)got : -1;
}

static int32_t count_all(struct cofre_call *call, struct archive *archive, const struct reading *r, uint64_t most,
                         uint64_t *entries, uint64_t *bytes, struct cofre_error *error)
{
    struct archive_entry *entry;
    int read;
    while ((read = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || read == ARCHIVE_WARN) {
        int32_t status = cofre->cancelled(call, error);
        if (status != COFRE_OK)
            return status;
        ++*entries;
        if (archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry))
            *bytes += (uint64_t)archive_entry_size(entry);
        cofre->progress(call, *entries, 0);
        if (most && *entries >= most)
            return COFRE_OK;
    }
    if (read == ARCHIVE_EOF)
        return COFRE_OK;
    if (r->class != COFRE_OK)
        *error = r->why;
    return r->class != COFRE_OK
               ? r->class
               : cofre_fail(error, COFRE_E_INTEGRITY, "read what the volume holds: %s", archive_error_string(archive));
}

int32_t cask_count(struct cofre_call *call, struct daemon_stream *stream, uint64_t most, uint64_t *entries,
                   uint64_t *bytes, struct cofre_error *error)
{
    struct reading *r = calloc(1, sizeof *r);
    struct archive *archive = archive_read_new();
    int32_t status = COFRE_OK;
    *entries = *bytes = 0;
    if (!r || !archive)
        status = cofre_fail_errno(error, ENOMEM, "read what the volume holds");
    if (status == COFRE_OK) {
        r->stream = stream;
        r->why.struct_size = sizeof r->why;
        archive_read_support_format_tar(archive);
        if (archive_read_open(archive, r, NULL, read_block, NULL) != ARCHIVE_OK)
            status = r->class != COFRE_OK ? (*error = r->why, r->class)
                                          : cofre_fail(error, COFRE_E_INTEGRITY, "read what the volume holds: %s",
                                                       archive_error_string(archive));
        else
            status = count_all(call, archive, r, most, entries, bytes, error);
    }
    archive_read_free(archive);
    free(r);
    return status;
}
