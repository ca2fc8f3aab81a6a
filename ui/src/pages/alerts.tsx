/** Rules by group, alerts as Alertmanager groups them, silences, each alert's way, heartbeats, the time machine. */

import { url, setParams } from '../router.ts';
import { Title } from '../widgets/title.tsx';
import { Groups } from './alertgroups.tsx';
import { History } from './alerthistory.tsx';
import { Heartbeats } from './heartbeats.tsx';
import { Replay } from './replay.tsx';
import { Rules } from './rules.tsx';
import { Silences } from './silences.tsx';

const TABS = [['rules', 'Rules', Rules], ['groups', 'Groups', Groups], ['silences', 'Silences', Silences], ['history', 'History', History], ['heartbeats', 'Heartbeats', Heartbeats], ['replay', 'Replay', Replay]] as const;

export function Alerts() {
  const asked = url.value.pathname.startsWith('/silences') ? 'silences' : (url.value.searchParams.get('tab') ?? 'rules');
  const [chosen, , View] = TABS.find(([id]) => id === asked) ?? TABS[0];
  return (
    <div class="page">
      <Title text="Alerts" />
      <div class="filters">
        <div class="segmented" role="tablist" aria-label="View">
          {TABS.map(([id, name]) => <button type="button" role="tab" aria-selected={id === chosen} onClick={() => setParams({ tab: id === 'rules' ? undefined : id, alert: undefined })}>{name}</button>)}
        </div>
      </div>
      <View />
    </div>
  );
}
