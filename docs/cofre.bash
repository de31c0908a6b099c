# bash completion for cofre: commands, options, and the names that stand in the configuration.

# _cofre_names SECTION: the names of the [SECTION NAME] sections.
_cofre_names()
{
    local directory=${COFRE_CONFIG_DIR:-/etc/cofre/conf.d} i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == --config-dir ]] && directory=${COMP_WORDS[i + 1]}
    done
    sed -n "s/^\[$1 \([a-z0-9_-]*\)\].*/\1/p" "$directory"/*.conf 2>/dev/null
}

# The command that was typed already, and the word after it.
_cofre_command()
{
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --config-dir) ((i++)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            ((i + 1 < COMP_CWORD)) && form=${COMP_WORDS[i + 1]}
            return
            ;;
        esac
    done
}

_cofre_words()
{
    case $command in
    '') echo 'init check discover run due daemon status report log notify list show ls cat find diff restore verify prune gc copy accept pin unpin key plugin version help' ;;
    init) _cofre_names sink ;;
    check) _cofre_names source; _cofre_names sink; _cofre_names notify; _cofre_names job ;;
    run)
        _cofre_names job
        [[ $form ]] && _cofre_names source
        ;;
    find) [[ $form ]] && _cofre_names job ;;
    due | status | log | list | show | ls | cat | diff | restore | verify | prune | copy | accept | pin | unpin) _cofre_names job ;;
    gc) _cofre_names sink ;;
    key) [[ $form ]] || echo 'create put prune show recover accept revoke' ;;
    notify) if [[ $form ]]; then _cofre_names notify; else echo 'test'; fi ;;
    plugin) [[ $form ]] || echo 'list describe' ;;
    help) echo 'init check discover run due daemon status report log notify list show ls cat find diff restore verify prune gc copy accept pin unpin key plugin version' ;;
    esac
}

_cofre_options()
{
    echo '--config-dir --json --quiet --verbose --utc --in-process --help --version'
    case $command in
    check) echo '--offline' ;;
    run) echo '--all --dry-run --label' ;;
    due) echo '--dry-run' ;;
    list) echo '--sink --all-hosts' ;;
    status) echo '--health --nagios --prometheus --output --from-sinks --sink --all-hosts --max-age' ;;
    report) echo '--html --since' ;;
    log) echo '--sink --since --check' ;;
    show) echo '--sink --record' ;;
    ls | cat | find | diff | unpin | accept) echo '--sink' ;;
    pin) echo '--until --note --sink' ;;
    restore) echo '--into --in-place --set --keep-stopped --sink --yes' ;;
    verify) echo '--all --quick --sink' ;;
    prune) echo '--all-hosts --other-hosts --dry-run --sink --yes' ;;
    copy) echo '--from --to' ;;
    gc) echo '--dry-run --now --yes' ;;
    key) echo '--host --since --id' ;;
    esac
}

_cofre()
{
    local word=${COMP_WORDS[COMP_CWORD]} command='' form=''
    COMPREPLY=()
    _cofre_command
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --config-dir | --into | --output | --html) mapfile -t COMPREPLY < <(compgen -d -- "$word") ; return ;;
    --sink | --from | --to) mapfile -t COMPREPLY < <(compgen -W "$(_cofre_names sink)" -- "$word") ; return ;;
    --set | --max-age) return ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_cofre_options)" -- "$word")
    elif [[ $command == key && $form ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_cofre_words)" -- "$word")
    fi
}
complete -o filenames -F _cofre cofre
