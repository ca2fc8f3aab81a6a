/** The way in: who is here, which page, and the frame around it. */

import { render } from 'preact';
import { loadUser, user } from './api.ts';
import './keys.ts';
import { preload, Shell } from './shell.tsx';
import './style.css';
import './theme.ts';
import { SignIn } from './pages/signin.tsx';
import { Toasts } from './widgets/toast.tsx';

function App() {
  if (user.value === undefined) return <p class="starting" aria-live="polite">Starting…</p>;
  return <>{user.value ? <Shell /> : <SignIn />}<Toasts /></>;
}

preload();
void loadUser().catch(() => { user.value = null; });
render(<App />, document.getElementById('app')!);
