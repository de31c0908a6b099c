#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "host/confine.h"
#include "wire/plugin_info.h"

#define SOURCE (1u << PLUGIN_SOURCE)
#define SINK (1u << PLUGIN_SINK)
#define NOTIFIER (1u << PLUGIN_NOTIFIER)
#define MONITOR (1u << CONFINE_MONITOR)

/* What is not here no worker has: SYS_PTRACE above all, which opens the engine's memory with its keys, SYS_MODULE,
 * SYS_RAWIO, NET_ADMIN, BPF, SYS_BOOT, ... */
static const struct {
    unsigned capability, roles;
} kept[] = {
    {CAP_DAC_OVERRIDE, SOURCE | SINK | NOTIFIER}, /* files of other users; a place that belongs to somebody else */
    {CAP_DAC_READ_SEARCH, SOURCE | SINK | NOTIFIER | MONITOR},
    {CAP_FOWNER, SOURCE | SINK | NOTIFIER}, /* modes and times of files of others, O_NOATIME */
    {CAP_CHOWN, SOURCE | NOTIFIER},         /* restore: owners; the queue of a mail system */
    {CAP_FSETID, SOURCE},                   /* restore: set-user-id, */
    {CAP_SETFCAP, SOURCE},                  /* file capabilities, */
    {CAP_MKNOD, SOURCE},                    /* devices */
    {CAP_SYS_ADMIN, SOURCE},                /* trusted.* attributes; setns into the network of a container */
    {CAP_SYS_RESOURCE, SOURCE},             /* a server for a trial restore may have more memory than a worker */
    {CAP_SETUID, SOURCE | NOTIFIER},        /* programs that run as an application's user, or the mail system's, */
    {CAP_SETGID, SOURCE | NOTIFIER},
    {CAP_KILL, SOURCE | NOTIFIER}, /* and end when their worker does */
    {CAP_SYS_PTRACE, MONITOR},     /* /proc/PID/root, cwd, ns/net of others */
};

static uint64_t of_role(int role)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (kept[i].roles & (1u << role))
            mask |= UINT64_C(1) << kept[i].capability;
    return mask;
}

/* Where programs that are executed as root would get them back from. Needs CAP_SETPCAP; who has none of it is not root,
 * and no new privileges come to him. */
static void drop_bounding(uint64_t keep)
{
    for (unsigned i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        if (!(keep & UINT64_C(1) << i))
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

int confine_rights(int role, struct error *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint64_t keep = of_role(role);
    drop_bounding(keep);
    if (syscall(SYS_capget, &header, data) < 0)
        return error_system(e, errno, "read the capabilities of a worker");
    for (unsigned i = 0; i < 2; i++) {
        uint32_t mask = (uint32_t)(keep >> 32 * i);
        data[i].permitted &= mask;
        data[i].effective &= mask;
        data[i].inheritable &= mask; /* what is not in both leaves the ambient ones, too */
    }
    if (syscall(SYS_capset, &header, data) < 0)
        return error_system(e, errno, "drop the capabilities of a worker");
    return 0;
}
