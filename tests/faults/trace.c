#include "trace.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define MAX_TASKS 4096

static struct task {
    pid_t pid;
    bool executes; /* it is becoming another program */
} tasks[MAX_TASKS];
static size_t task_count;
#define LET_GO_MAX 4
static const char *let_go[LET_GO_MAX];
static size_t let_go_count;

static struct task *remember(pid_t pid)
{
    for (size_t i = 0; i < task_count; i++) {
        if (tasks[i].pid == pid)
            return &tasks[i];
    }
    if (task_count == MAX_TASKS) {
        fputs("trace: too many tasks\n", stderr);
        exit(125); /* PTRACE_O_EXITKILL ends them all */
    }
    tasks[task_count++] = (struct task){.pid = pid};
    return &tasks[task_count - 1];
}

static void forget(pid_t pid)
{
    for (size_t i = 0; i < task_count; i++) {
        if (tasks[i].pid == pid)
            tasks[i] = tasks[--task_count];
    }
}

static long request(int what, pid_t pid, uintptr_t address, void *data)
{
    return ptrace((enum __ptrace_request)what, pid, (void *)address, data);
}

static void resume(pid_t pid, int signal)
{
    /* ESRCH: it was killed while it stood still. */
    request(PTRACE_SYSCALL, pid, 0, (void *)(uintptr_t)signal);
}

static pid_t start(char **command)
{
    pid_t pid = fork();
    if (pid == 0) {
        request(PTRACE_TRACEME, 0, 0, NULL);
        raise(SIGSTOP);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return -1;
    uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                        PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (request(PTRACE_SETOPTIONS, pid, 0, (void *)options))
        return -1;
    remember(pid);
    resume(pid, 0);
    return pid;
}

static enum trace_verdict at_call(pid_t pid, enum trace_verdict (*visit)(void *, const struct trace_stop *),
                                  void *context)
{
    struct ptrace_syscall_info info;
    memset(&info, 0, sizeof info);
    if (request(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
        return TRACE_GO_ON;
    struct trace_stop stop = {.pid = pid, .entry = info.op == PTRACE_SYSCALL_INFO_ENTRY};
    remember(pid)->executes = stop.entry && (info.entry.nr == SYS_execve || info.entry.nr == SYS_execveat);
    if (stop.entry) {
        stop.number = info.entry.nr;
        for (int i = 0; i < 6; i++)
            stop.arguments[i] = info.entry.args[i];
    }
    return visit(context, &stop);
}

/* The signal to hand on: not our own SIGTRAPs, nor the SIGSTOP with which a new task begins. */
static int signal_of(pid_t pid, int status)
{
    int signal = WSTOPSIG(status);
    siginfo_t info;
    if (status >> 16 || signal == SIGTRAP)
        return 0;
    if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        /* A group stop has no siginfo. */
        bool group = request(PTRACE_GETSIGINFO, pid, 0, &info) != 0;
        return group || signal == SIGSTOP ? 0 : signal;
    }
    return signal;
}

void trace_let_go(const char *argument)
{
    if (let_go_count < LET_GO_MAX)
        let_go[let_go_count++] = argument;
}

/* Has it just become a program that is let go? */
static bool is_let_go(pid_t pid, int status)
{
    char path[32], words[256] = "";
    if (let_go_count == 0 || status >> 8 != (SIGTRAP | PTRACE_EVENT_EXEC << 8))
        return false;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(words, 1, sizeof words - 1, file) : 0;
    if (file)
        fclose(file);
    size_t first = strlen(words) + 1;
    for (size_t i = 0; i < let_go_count; i++)
        if (first < length && strcmp(words + first, let_go[i]) == 0)
            return true;
    return false;
}

static bool let_it_go(pid_t pid, int status)
{
    if (!is_let_go(pid, status))
        return false;
    request(PTRACE_DETACH, pid, 0, NULL);
    forget(pid);
    return true;
}

/* One that is becoming a program that is let go is none of those that are killed, though who starts it goes on before
 * that is told. here: the one that stands still. */
static void settle(pid_t here)
{
    int status;
    for (size_t i = task_count; i-- > 0;) {
        pid_t pid = tasks[i].pid;
        if (pid == here || !tasks[i].executes || waitpid(pid, &status, __WALL) != pid)
            continue;
        if (!WIFSTOPPED(status))
            forget(pid);
        else
            let_it_go(pid, status);
    }
}

/* SIGKILL for all of them at once, and for those that appear while we wait. here: the one that stands still. */
static void kill_all(pid_t here)
{
    int status;
    pid_t pid;
    settle(here);
    for (size_t i = 0; i < task_count; i++)
        kill(tasks[i].pid, SIGKILL);
    while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (pid > 0 && WIFSTOPPED(status))
            kill(pid, SIGKILL);
    }
}

int trace_run(char **command, enum trace_verdict (*visit)(void *context, const struct trace_stop *), void *context)
{
    pid_t first = start(command);
    int result = 127, status;
    if (first < 0) {
        perror("trace");
        return 127;
    }
    while (task_count > 0) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            forget(pid);
            if (pid == first)
                result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        if (let_it_go(pid, status))
            continue;
        remember(pid);
        bool call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        if (call && at_call(pid, visit, context) == TRACE_KILL_ALL) {
            kill_all(pid);
            return 137;
        }
        resume(pid, call ? 0 : signal_of(pid, status));
    }
    return result;
}

bool trace_read_text(pid_t pid, uint64_t address, char *out, size_t n)
{
    /* Up to the end of a page at a time: the next one may not be there. */
    for (size_t used = 0; used < n;) {
        size_t piece = 4096 - (size_t)(address + used) % 4096;
        struct iovec here = {out + used, piece < n - used ? piece : n - used};
        struct iovec there = {(void *)(uintptr_t)(address + used), here.iov_len};
        ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (got <= 0)
            return false;
        if (memchr(out + used, '\0', (size_t)got))
            return true;
        used += (size_t)got;
    }
    return false;
}

#if defined(__x86_64__)
void trace_skip(pid_t pid)
{
    struct user_regs_struct registers;
    if (request(PTRACE_GETREGS, pid, 0, &registers))
        return;
    registers.orig_rax = (unsigned long long)-1;
    request(PTRACE_SETREGS, pid, 0, &registers);
}

void trace_set_result(pid_t pid, long result)
{
    struct user_regs_struct registers;
    if (request(PTRACE_GETREGS, pid, 0, &registers))
        return;
    registers.rax = (unsigned long long)result;
    request(PTRACE_SETREGS, pid, 0, &registers);
}
#elif defined(__aarch64__)
void trace_skip(pid_t pid)
{
    int number = -1;
    struct iovec vector = {&number, sizeof number};
    request(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &vector);
}

void trace_set_result(pid_t pid, long result)
{
    struct user_regs_struct registers;
    struct iovec vector = {&registers, sizeof registers};
    if (request(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector))
        return;
    registers.regs[0] = (unsigned long long)result;
    request(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vector);
}
#else
#error "say here how this processor's system calls are skipped"
#endif
