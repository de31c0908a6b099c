/* libarchive, loaded with the first tar that is written or read, and not when the program starts: it draws in libxml2,
 * ICU and the runtime of C++, which is nearly half of what a start costs, and all of it code that nothing but a tar
 * needs.
 *
 * Its functions are called as they are named in its manual (archive_read(3), archive_write(3), archive_entry(3)), with
 * "libarchive." for "archive_". */
#ifndef COFRE_ARCHIVE_LIBARCHIVE_H
#define COFRE_ARCHIVE_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

struct error;

/* clang-format off */
#define LIBARCHIVE_FUNCTIONS(X) \
    X(read_data_block) X(read_free) X(read_new) X(read_next_header) X(read_open) X(read_support_filter_none) \
    X(read_support_format_tar) \
    X(write_close) X(write_data) X(write_free) X(write_header) X(write_new) X(write_open) \
    X(write_set_bytes_in_last_block) X(write_set_bytes_per_block) X(write_set_format_option) X(write_set_format_pax) \
    X(entry_clear) X(entry_filetype) X(entry_free) X(entry_gid) X(entry_gname) X(entry_hardlink) X(entry_mtime) \
    X(entry_mtime_is_set) X(entry_mtime_nsec) X(entry_new) X(entry_pathname) X(entry_perm) X(entry_rdevmajor) \
    X(entry_rdevminor) X(entry_set_filetype) X(entry_set_gid) X(entry_set_gname) X(entry_set_hardlink) \
    X(entry_set_mtime) X(entry_set_pathname) X(entry_set_perm) X(entry_set_rdevmajor) X(entry_set_rdevminor) \
    X(entry_set_size) X(entry_set_symlink) X(entry_set_uid) X(entry_set_uname) X(entry_size) \
    X(entry_sparse_add_entry) X(entry_sparse_clear) X(entry_symlink) X(entry_uid) X(entry_uname) \
    X(entry_xattr_add_entry) X(entry_xattr_next) X(entry_xattr_reset) \
    X(error_string) X(set_error)
/* clang-format on */

#define LIBARCHIVE_MEMBER(name) __typeof__(archive_##name) *name;
struct libarchive {
    LIBARCHIVE_FUNCTIONS(LIBARCHIVE_MEMBER)
};
#undef LIBARCHIVE_MEMBER

/* All NULL until libarchive_load was successful. */
extern struct libarchive libarchive;

/* Any number of times, by any thread. ERROR_CONFIG: it is not installed, or is another one; the next call tries again.
 */
int libarchive_load(struct error *e);

#endif
