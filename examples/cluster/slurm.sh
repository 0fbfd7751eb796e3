#!/bin/bash
# Written by `rayscan slurm`, yours to change: `sbatch` it. It starts Ray on all nodes of the job, scans there, and
# submits itself again as long as the scan ends by the job's limit (not by its goal, a failure or `rayscan stop`).
#SBATCH --job-name=mssm
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=12:00:00
#SBATCH --partition=long
#SBATCH --signal=B:USR1@120
#SBATCH --output=mssm-%j.log

python=/shared/me/rayscan-env/bin/python
config=/shared/me/scan.toml
out=/shared/me/runs/mssm

# Slurm says that the limit is near: finish the points under way and save.
warned= scan=
trap 'warned=yes; [ -z "$scan" ] || kill -USR1 "$scan"' USR1
trap '[ -n "$scan" ] || exit 143; kill -TERM "$scan"' TERM

# Only who has the token may use the nodes; it lives in the environment of this job.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_USAGE_STATS_ENABLED=0 python

# Ray on each node, its head on the first, where this script runs. Plain `ray start`, since `ray symmetric-run` does
# not pass Slurm's warning on to the scan.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip=$({ getent ahostsv4 "$head"; hostname -I | tr ' ' '\n'; } |
    awk '$1 ~ /^[0-9.]+$/ && $1 !~ /^127\./ { print $1; exit }')
export ip port=$((20000 + SLURM_JOB_ID % 10000)) files=/tmp/rayscan-$SLURM_JOB_ID
export cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
each=(srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --overlap)
"${each[@]}" --cpus-per-task="$cpus" bash -c '
    if [ "$SLURM_PROCID" = 0 ]; then
        exec "$python" -m ray.scripts.scripts start --head --node-ip-address="$ip" --port="$port" --num-cpus="$cpus" \
            --temp-dir="$files" --include-dashboard=false --block
    fi
    until (exec 3<>"/dev/tcp/$ip/$port") 2>/dev/null; do sleep 1; done
    exec "$python" -m ray.scripts.scripts start --address="$ip:$port" --num-cpus="$cpus" --block
' &
ray=$!
until (exec 3<>"/dev/tcp/$ip/$port") 2>/dev/null; do
    kill -0 "$ray" 2>/dev/null || { echo "Ray did not start on $head: see above" >&2; exit 1; }
    sleep 1
done

# How many points there are, and how the scan ended.
said() { "$python" -m rayscan.cli status "$out" --json 2>/dev/null | "$python" -c '
import json, sys
try:
    print(json.load(sys.stdin).get(sys.argv[1], ""))
except ValueError:
    print("")' "$1"; }

before=$(said evaluations)
RAY_ADDRESS="$ip:$port" "$python" -m rayscan.cli run "$config" --out "$out" &
scan=$!
wait "$scan"; code=$?
while [ "$code" -gt 128 ] && kill -0 "$scan" 2>/dev/null; do wait "$scan"; code=$?; done
[ "$code" -gt 128 ] && { wait "$scan"; code=$?; }
trap '' USR1

kill "$ray" 2>/dev/null
if [ "$code" -eq 3 ]; then
    case $warned$(said state) in
        yes* | *'stopped before the goal, the batch job ends'*)
            if [ "$(said evaluations)" = "$before" ]; then
                echo "the job ended before one point was evaluated: not submitted again; give it more time" >&2
            elif (unset RAY_AUTH_TOKEN RAY_AUTH_MODE; sbatch "$0"); then
                code=0
            else
                echo "the next job could not be submitted; sbatch this script again to go on" >&2
            fi ;;
    esac
fi
wait "$ray" 2>/dev/null
"${each[@]}" rm -rf -- "$files"
exit "$code"
