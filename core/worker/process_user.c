#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "worker/process.h"

#define ENTRY 16384 /* bytes of a line of passwd */

static int take_groups(struct process_user *user, const char *name, struct error *e)
{
    int count = 64;
    for (;;) {
        gid_t *groups = realloc(user->groups, (size_t)count * sizeof *groups);
        if (!groups)
            return error_memory(e);
        user->groups = groups;
        user->group_count = (size_t)count;
        if (getgrouplist(name, user->gid, groups, &count) >= 0)
            break;
        if ((size_t)count <= user->group_count)
            count = (int)user->group_count * 2;
    }
    user->group_count = (size_t)count;
    return 0;
}

static int refuse(struct error *e, const char *name)
{
    error_set(e, ERROR_CONFIG, "'run_as': only root can run a worker as somebody else, such as '%.80s'", name);
    return error_hint(e, "run cofre as root, or as that user without run_as");
}

int process_user_find(const char *name, struct process_user *user, struct error *e)
{
    struct passwd entry, *found = NULL;
    char *room = malloc(ENTRY);
    *user = (struct process_user){.groups = NULL};
    if (!room)
        return error_memory(e);
    int failed = getpwnam_r(name, &entry, room, ENTRY, &found);
    if (found) {
        user->uid = found->pw_uid;
        user->gid = found->pw_gid;
    }
    free(room);
    if (!found) {
        error_set(e, ERROR_CONFIG, "'run_as': there is no user '%.80s'%s%s", name, failed ? ": " : "",
                  failed ? strerror(failed) : "");
        return error_hint(e, "getent passwd shows which there are");
    }
    user->change = user->uid != geteuid();
    if (!user->change)
        return 0;
    if (geteuid() != 0)
        return refuse(e, name);
    if (take_groups(user, name, e) == 0)
        return 0;
    process_user_free(user);
    return -1;
}

void process_user_free(struct process_user *user)
{
    free(user->groups);
    *user = (struct process_user){.groups = NULL};
}
