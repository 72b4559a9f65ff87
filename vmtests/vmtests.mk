# SPDX-License-Identifier: GPL-2.0-or-later
# VM tests and scenarios; included by the Makefile.
#
#   make vmtest               the matrix, CI's: every row on 6.1, the short set on the other kernels
#   make vmtest [KERNEL="6.1 ..."] [SCENARIO=name,...] [SET=short]
#                             part of it; SET=full: every row on every kernel
#   make vmload               do the BPF objects load on every kernel? Half a minute
#   make vmsmoke              one kernel, a few scenarios: a minute or two
#   make scenarios            the same scenarios in namespaces of this machine, as its kernel allows
#   make vmbreak [ONLY=word]  breaks weir on purpose; the right cell must fail of each
#   make vmservice            the package on a clean Debian 12 under systemd: killed, hung, its power cut
#   make soak MINUTES=30      mixed traffic, scenarios switched on and off
#   make sweep [SEED=1] [N=60] [FAMILY="police benign"]
#                             limits and trouble drawn by chance: found, missed, false, and how exact
#   make soak-benign [N=20]   every benign row N times, goes on where it was stopped; here, or KERNEL=6.1 in VMs

SCEN	:= $(addprefix $(B)/scen/,scenario traffic inject wire vmprobe)
SCEN_FLAGS := $(CSTD) $(CFLAGS) $(WARN)

$(B)/scen/scenario: tests/scenarios/scenario.c $(wildcard tests/scenarios/scen_*.c) $(wildcard tests/scenarios/scen*.h)
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SCEN_FLAGS) -o $@ $(filter %.c,$^) -ljansson -lm

$(B)/scen/traffic: $(addprefix tests/scenarios/,traffic.c traffic_tcp.c traffic_udp.c proto.c quic.c traffic.h proto.h)
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SCEN_FLAGS) -o $@ $(filter %.c,$^) -lnettle

$(B)/scen/inject: $(addprefix tests/scenarios/,inject.c proto.c proto.h)
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SCEN_FLAGS) -o $@ $(filter %.c,$^)

$(B)/scen/wire: $(addprefix tests/scenarios/,wire.c proto.c proto.h)
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SCEN_FLAGS) -o $@ $(filter %.c,$^)

$(B)/scen/vmprobe: vmtests/vmprobe.c
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SCEN_FLAGS) -o $@ $< -lbpf

.PHONY: sweep vmservice vmbreak vmload vmtest vmsmoke scenarios soak soak-benign vmtest-build
vmtest-build: $(B)/weir $(SCEN)

vmtest: vmtest-build
	$(Q)sh vmtests/run.sh $(B) $(if $(KERNEL),-k "$(KERNEL)") $(if $(SCENARIO),-S $(SCENARIO)) $(if $(filter full,$(SET)),-a,$(SET:%=-s %))

vmload: vmtest-build
	$(Q)sh vmtests/run.sh $(B) -L

vmbreak: vmtest-build
	$(Q)sh vmtests/break.sh $(B) $(ONLY)

vmservice: vmtest-build deb
	$(Q)sh vmtests/service.sh $(B)

vmsmoke: vmtest-build
	$(Q)sh vmtests/run.sh $(B) -k 6.1 -s smoke

scenarios: vmtest-build
	$(Q)PATH=$(abspath $(B)):$(abspath $(B)/scen):$$PATH $(B)/scen/scenario run -l -j 2 -o $(B)/scenarios \
		$(if $(SCENARIO),$(SCENARIO:%=tests/scenarios/rows/%.scn),$(wildcard tests/scenarios/rows/*.scn))

soak: vmtest-build
	$(Q)sh vmtests/soak.sh $(B) $(or $(MINUTES),30) $(or $(KERNEL),6.1)

soak-benign: vmtest-build
	$(Q)sh vmtests/soak-benign.sh $(B) $(or $(N),20) $(or $(KERNEL),here)

# Here, or in a VM with KERNEL=6.1; captures are kept: `scenario judge` judges them again.
sweep: vmtest-build
	$(Q)rm -rf $(B)/sweep && mkdir -p $(B)/sweep
	$(Q)python3 tests/scenarios/sweep.py rows $(or $(SEED),1) $(or $(N),60) $(B)/sweep/drawn $(FAMILY)
ifeq ($(KERNEL),)
	$(Q)PATH=$(abspath $(B)):$(abspath $(B)/scen):$$PATH $(B)/scen/scenario run -1lk -H offline -j 12 -o $(B)/sweep/kept \
		$(B)/sweep/drawn/*.scn >$(B)/sweep/results || :
	$(Q)python3 tests/scenarios/sweep.py table $(B)/sweep/drawn $(B)/sweep/kept <$(B)/sweep/results
else
	$(Q)sh vmtests/run.sh $(B) -k "$(KERNEL)" -F $(abspath $(B)/sweep/drawn) -o $(B)/sweep/vm -1K -H offline || :
	$(Q)python3 tests/scenarios/sweep.py table $(B)/sweep/drawn $(B)/sweep/vm/k-$(KERNEL)/art/s <$(B)/sweep/vm/results.tsv
endif
