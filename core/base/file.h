/* Files: small, whole, durable, private. The engine's own state goes through here; sources and sinks are plugins. */
#ifndef COFRE_BASE_FILE_H
#define COFRE_BASE_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct error;

/* Cleanup attribute for locals: AUTO_CLOSE int fd = -1; */
#define AUTO_CLOSE __attribute__((cleanup(file_close_pointer)))
#define AUTO_FREE __attribute__((cleanup(file_free_pointer)))
void file_close_pointer(int *fd);
void file_free_pointer(void *p);

/* A file of our own: flags as open has them, without O_TRUNC; one that O_CREAT makes has mode 0600. Never through a
 * symbolic link, never waiting for a FIFO. The descriptor, or -1: ERROR_NOT_FOUND; ERROR_DENIED when what is there is
 * no regular file, or belongs to neither root nor us. */
int file_open(const char *path, int flags, struct error *e);

/* The whole file, at most maximum bytes (ERROR_RANGE beyond), appended to *out, whose maximum must allow it.
 * ERROR_DENIED when it is no regular file. */
int file_read(const char *path, size_t maximum, struct bytes *out, struct error *e);

/* The same for a file of our own: file_open. */
int file_read_own(const char *path, size_t maximum, struct bytes *out, struct error *e);

/* As file_read, for something only its owner may know: refused (ERROR_CONFIG) unless a regular file of root or
 * ourselves with mode 0600, 0400 or less, at a path that nobody else can change (file_check_trusted); the hint is the
 * command that mends it. what: "key file". */
int file_read_private(const char *path, const char *what, size_t maximum, struct bytes *out, struct error *e);

/* FILE_NEW: ERROR_EXISTS when it is there. FILE_PUBLIC: as FILE_REPLACE, where a file system without modes is good
 * enough.
 */
enum file_mode { FILE_REPLACE, FILE_NEW, FILE_PUBLIC };

/* A file beside path that is to get its name: made by us under one that nobody can foresee, NAME.0123456789abcdef.tmp,
 * mode 0600, open to read and write, and locked (flock) for as long as the descriptor is open. Those of path that died
 * processes left are removed first. The caller closes fd, and removes the file when it never gets its name. */
struct file_temporary {
    int fd;
    char path[PATH_MAX];
};
int file_temporary_make(struct file_temporary *temporary, const char *path, struct error *e);
/* Nothing is synced here. FILE_NEW: ERROR_EXISTS when path is there. */
int file_temporary_name(const struct file_temporary *temporary, const char *path, enum file_mode mode, struct error *e);

/* Atomic and durable, mode 0600: a temporary file, fsync, rename, fsync of the directory. */
int file_write(const char *path, const void *p, size_t n, enum file_mode mode, struct error *e);

/* The bytes and the name of a file that somebody else wrote, perhaps a moment ago. */
int file_make_durable(const char *path, struct error *e);

/* All missing directories of path, durable, mode 0700 where the file system has modes. */
int file_make_directories(const char *path, struct error *e);

/* Write all n bytes, through EINTR and short writes. */
int file_write_all(int fd, const void *p, size_t n, const char *name, struct error *e);
/* Read exactly n bytes at offset; fewer is ERROR_INTEGRITY. */
int file_read_at(int fd, void *p, size_t n, uint64_t offset, const char *name, struct error *e);

/* Nobody but root and ourselves can change this path: neither the file nor any directory above it is writable by others
 * or owned by anyone else, nor is a symbolic link in it (sticky directories are as good as closed for what is not ours
 * to rename). ERROR_DENIED names the place and the chmod. */
int file_check_trusted(const char *path, struct error *e);

/* The same where path may not be there yet: then of the directories above it that are, where it is going to be made. */
int file_check_trusted_place(const char *path, struct error *e);

/* file_make_directories, and then file_check_trusted of what is there. */
int file_make_trusted(const char *path, struct error *e);

/* The first of these that is there, as an absolute path without links; places are written from the directory of the
 * running program on ("/../lib/x"), so that what was installed may be moved as a whole. NULL: none is, or no memory. */
char *file_beside_program(const char *const *places, size_t count);

/* A lock that dies with its holder: flock on path (made when absent, 0600). *fd is the lock; close releases it.
 * Taken: ERROR_BUSY; *holder is then the process id that wrote itself into the file, or 0. */
int file_lock(const char *path, int *fd, long *holder, struct error *e);

#endif
