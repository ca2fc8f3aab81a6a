import { render } from 'preact';

render(<p>watchkeeper</p>, document.getElementById('app')!);
