/* The private directory of one instance: objects on their way, the ssh configuration, the socket of the connection.
 *
 * It is made (0700) below the configured staging directory and goes with the instance. What a killed process left there
 * is removed by the next one: a directory that is locked belongs to somebody who is alive. */
#ifndef COFRE_RSYNC_WORKSPACE_H
#define COFRE_RSYNC_WORKSPACE_H

#include <stddef.h>
#include <stdint.h>

#include <cofre/plugin.h>

/* A unix socket's address has 108 bytes, and ssh adds 18 to the name while it makes it. */
#define WORKSPACE_MAX 86
#define WORKSPACE_PATH (WORKSPACE_MAX + COFRE_MAX_KEY + 32)

/* Below it. */
#define WORKSPACE_OUT "out"    /* staged objects, under their keys */
#define WORKSPACE_IN "in"      /* fetched ones */
#define WORKSPACE_VOID "void"  /* empty directories: the source of removals */
#define WORKSPACE_SOCKET "ssh" /* "ssh0", "ssh1" */

struct workspace {
    char path[WORKSPACE_MAX];
    int fd; /* holds the lock; -1 = none */
};

/* After an error nothing is left. staging: an absolute path. */
int32_t workspace_open(struct workspace *workspace, const char *staging, struct cofre_error *error);
void workspace_close(struct workspace *workspace);

/* "PATH/folder/name" into out; returns out. name may be "". */
char *workspace_path(const struct workspace *workspace, const char *folder, const char *name, char out[WORKSPACE_PATH]);

/* Make the directories above folder/key. */
int32_t workspace_parents(const struct workspace *workspace, const char *folder, const char *key,
                          struct cofre_error *error);

/* Write a small file. */
int32_t workspace_write(const struct workspace *workspace, const char *name, const void *text, size_t length,
                        struct cofre_error *error);

/* A file without a name; -1 with *error filled. */
int workspace_scratch(const struct workspace *workspace, struct cofre_error *error);

/* Remove a directory with what is in it. Whether it works changes nothing for the caller. */
void workspace_remove_tree(const char *path);

#endif
